"""A training step on fake tensors: shapes without numbers, so that memory is known beforehand.

Fake tensors are the CPU's, which every build of torch has. What is known of what a CUDA device does
otherwise is put in its place (`like_cuda`); that it does the rest alike is a guess.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from model import vocabulary
from shards.format import NO_LABEL, Rows, ShardHeader, make_room, mask_budget
from train.batch import to_batches
from train.initial import checkpoint_activations, make_model
from train.live_memory import LiveMemory
from train.runs import ModelKind
from train.step import Model

MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


@dataclass(frozen=True, kw_only=True)
class StepShape:
    """What decides the memory of a step, beside the networks and the optimizer.

    Attributes:
        batch_size: Rows of an update.
        micro_batch: Rows of a forward pass. Where that is not all of them, there are gradients
            before a forward pass begins.
        dtype: Of products.
        activation_checkpointing: Whether layers are computed again in the backward pass.
        on_cuda: Whether to do as a CUDA device does.
    """

    batch_size: int
    micro_batch: int
    dtype: torch.dtype = torch.float32
    activation_checkpointing: bool = False
    on_cuda: bool = False


@dataclass(frozen=True, kw_only=True)
class TensorBytes:
    """The most bytes of tensors that are alive at once, by part.

    Attributes:
        weights: Of the networks.
        gradients: Of all weights, at the end of the backward pass.
        optimizer: What it keeps from update to update.
        activations: What the step takes beyond these: the batch, states kept for the backward pass,
            and what operators make on their way.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int


def fake_step(
    kind: ModelKind, make_optimizer: MakeOptimizer, header: ShardHeader, shape: StepShape
) -> TensorBytes:
    """Count the memory of a step; it takes a few seconds, whatever the sizes, and no memory."""
    # As long as the longest of a batch; without any padding they are computed in another way.
    rows = make_rows(header, np.full(shape.batch_size, header.max_length - 1))
    epochs = np.zeros(shape.batch_size, np.int64)
    batches = to_batches(rows, epochs, header, shape.micro_batch, torch.device("cpu"))
    live = LiveMemory()
    with ExitStack() as modes:
        modes.enter_context(torch.random.fork_rng(devices=[]))
        fakes = modes.enter_context(FakeTensorMode())
        modes.enter_context(_Answers())  # type: ignore[no-untyped-call]
        modes.enter_context(live)
        if shape.on_cuda:
            modes.enter_context(like_cuda())
        model = make_model(kind)
        checkpoint_activations(model, shape.activation_checkpointing)
        weights = live.bytes
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter)
        gradients = live.bytes - weights
        optimizer = make_optimizer(model)
        optimizer.step()
        state = live.bytes - weights - gradients
        if len(batches) == 1:
            optimizer.zero_grad(set_to_none=True)
        given = [tree_map_only(Tensor, fakes.from_tensor, vars(batch)) for batch in batches]
        live.add([leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)])
        _update(model, optimizer, given[0], shape.dtype)
    return TensorBytes(
        weights=weights,
        gradients=gradients,
        optimizer=state,
        activations=live.peak - weights - gradients - state,
    )


def _update(
    model: Model,
    optimizer: torch.optim.Optimizer,
    batch: dict[str, Any],
    dtype: torch.dtype,
) -> None:
    """Do what `train.step.Updater` does for the last micro-batch of an update."""
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        loss = model.loss(model(**batch))
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def make_rows(header: ShardHeader, lengths: NDArray[np.int64]) -> Rows:
    """Return rows of some lengths (N,), of two halves each, masked as `pack` does, of no sense."""
    rows = make_room(header, len(lengths))
    position = np.arange(header.max_length)
    budget = mask_budget(lengths, header.mask_probability)
    is_masked = (position >= 1) & (position <= budget[:, None])
    rows.input_ids[:] = np.where(
        position < lengths[:, None], position % header.vocab_size, header.pad_token_id
    )
    rows.length[:] = lengths
    rows.second_start[:] = lengths // 2
    rows.sentence_order_label[:] = 0 if header.layout == "pairs" else NO_LABEL
    rows.masks[:] = np.tile(np.packbits(is_masked, axis=1, bitorder="little"), header.mask_sets)
    rows.document[:] = 0
    return rows


class _Answers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers where a program asks for a fake tensor's number: no, or 1.

    Drawing weights ends when no number is out of bounds; Adafactor asks for the step; Nystrom
    attention, whether a row is short.
    """

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Answer, or do what was asked for."""
        if func is torch.ops.aten._local_scalar_dense.default:
            return False if args[0].dtype == torch.bool else 1
        return func(*args, **(kwargs or {}))


@contextmanager
def like_cuda() -> Iterator[None]:
    """Let operators do on CPU tensors what they do on a CUDA device, where memory differs.

    - Attention drops weights inside its kernels; on a CPU it holds them all, T x T.
    - Dropout keeps a byte an element to tell what it dropped; on a CPU a number.
    - Under autocast LayerNorm computes and returns float32
      (https://docs.pytorch.org/docs/stable/amp.html, "CUDA Ops that can autocast to float32").
    - More logits are held at a time.
    """
    attend, normalize = F.scaled_dot_product_attention, F.layer_norm

    def fused_attention(*args: Any, dropout_p: float = 0.0, **named: Any) -> Tensor:  # noqa: ANN401
        return attend(*args, **named)

    def dropout(
        states: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        return torch.native_dropout(states, p, True)[0] if training and p else states

    def layer_norm(states: Tensor, *args: Any) -> Tensor:  # noqa: ANN401
        return normalize(states.float() if torch.is_autocast_enabled("cpu") else states, *args)

    with (
        _replaced(F, scaled_dot_product_attention=fused_attention),
        _replaced(F, dropout=dropout, layer_norm=layer_norm),
        _replaced(vocabulary, CPU_CHUNK=vocabulary.GPU_CHUNK),
    ):
        yield


@contextmanager
def _replaced(module: ModuleType, **values: Any) -> Iterator[None]:  # noqa: ANN401
    """Give a module other attributes. A mode of torch would not reach into the backward pass."""
    own = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(own)
