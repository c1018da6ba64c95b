"""Where fine-tuning computes, in which precision, and how many rows at a time.

For `--memory` the step of a batch of rows as long as they may be is done on fake tensors, as
pretraining's is (`train.memory`, whose allowances for what is taken beside tensors serve here too).
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from model.huggingface_classifiers import make_head
from model.huggingface_families import FAMILIES
from model.padding import find_tokens
from model.transformer import Transformer
from pipeline.tables import in_units
from pipeline.tasks import Task
from shards.errors import DataError
from train.device import choose_device
from train.fake_step import like_cuda
from train.glue.batch import Batch, summed_loss
from train.glue.classifier import PROBLEMS, Classifier, Pretrained, with_dropout
from train.glue.config import GlueExecution
from train.glue.finetune import Place
from train.glue.layer_rates import make_optimizer
from train.glue.recipes import Settings
from train.live_memory import LiveMemory
from train.memory import CPU_OVERHEAD, CUDA_CONTEXT, FRAGMENTATION
from train.optimizer import MAX_GRAD_NORM
from train.precision import choose_precision


@dataclass(frozen=True, kw_only=True)
class Work:
    """What decides the memory of a step.

    Attributes:
        pretrained: The model.
        task: Says what outputs there are.
        settings: Say how many rows an update has.
        max_length: The longest row, in tokens.
    """

    pretrained: Pretrained
    task: Task
    settings: Settings
    max_length: int


def find_place(
    execution: GlueExecution,
    pretrained: Pretrained,
    task: Task,
    settings: Settings,
    max_length: int,
    say: Callable[[str], object] = lambda _: None,
) -> Place:
    """Return where and how a task is trained on.

    Args:
        execution: What a person chose.
        pretrained: The model.
        task: Says what outputs there are.
        settings: Say how many rows an update has.
        max_length: The longest row, in tokens.
        say: Called where memory asks for smaller micro-batches, now or later.

    Raises:
        DataError: There is no such device, or one row takes more than --memory.
    """
    device = choose_device(execution.device)
    precision = choose_precision("auto", device, pretrained.shape)
    micro_batch = execution.micro_batch
    if execution.memory is not None:
        work = Work(pretrained=pretrained, task=task, settings=settings, max_length=max_length)
        rows = min(micro_batch or settings.batch_size, settings.batch_size)
        fitting = largest_micro_batch(work, execution.memory, rows, device, precision.dtype)
        if fitting < rows:
            say(f"--memory {in_units(execution.memory)}: {fitting} rows in a forward pass")
            micro_batch = fitting
    return Place(device, precision, micro_batch, say)


def largest_micro_batch(
    work: Work, memory: int, rows: int, device: torch.device, dtype: torch.dtype
) -> int:
    """Return the most rows of a forward pass that fit into `memory`: `rows`, or a half, ...

    Raises:
        DataError: One row does not.
    """
    taken = step_bytes(work, rows, device.type == "cuda", dtype)
    while taken > memory:
        if rows == 1:
            problem = f"one row of {work.max_length} tokens takes {in_units(taken)}"
            remedy = f"give --memory {-(-taken // 10**6)}MB or more, or a smaller --max-length"
            raise DataError(f"{problem}; --memory is {in_units(memory)}", remedy)
        rows = (rows + 1) // 2
        taken = step_bytes(work, rows, device.type == "cuda", dtype)
    return rows


def step_bytes(work: Work, rows: int, on_cuda: bool, dtype: torch.dtype) -> int:
    """Return the most bytes that a step takes with so many rows in a forward pass."""
    live = LiveMemory()
    with ExitStack() as modes:
        modes.enter_context(torch.random.fork_rng(devices=[]))
        batch = _rows(work, rows)
        fakes = modes.enter_context(FakeTensorMode())
        modes.enter_context(live)
        if on_cuda:
            modes.enter_context(like_cuda())
        shape = with_dropout(work.pretrained.shape, work.settings.dropout)
        head = make_head(
            FAMILIES[work.pretrained.family],
            shape,
            work.task.num_outputs,
            PROBLEMS[work.task.kind],
        )
        classifier = Classifier(Transformer(shape), head)
        given = _fake(batch, fakes)
        live.add([one for one in (*given, *given.tokens) if isinstance(one, Tensor)])
        kept = _step(classifier, work, given, live, rows < work.settings.batch_size, dtype)
    if not on_cuda:
        return live.peak + CPU_OVERHEAD
    return live.peak + CUDA_CONTEXT + round(FRAGMENTATION * (live.peak - kept))


def _step(
    classifier: Classifier,
    work: Work,
    batch: Batch,
    live: LiveMemory,
    is_divided: bool,
    dtype: torch.dtype,
) -> int:
    """Do an update, after one that made the optimizer's state; return the bytes that last."""
    optimizer = make_optimizer(
        classifier.encoder, classifier.head, layer_decay=1.0, weight_decay=0.0
    )
    for one in classifier.parameters():
        one.grad = torch.empty_like(one)
    optimizer.step()
    kept = live.bytes
    if not is_divided:
        optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        outputs = classifier(batch)
    loss = summed_loss(work.task, outputs, batch.labels)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(classifier.parameters(), MAX_GRAD_NORM)
    optimizer.step()
    return kept


def _rows(work: Work, rows: int) -> Batch:
    """Return rows of no sense, as long as they may be but for one token of padding."""
    length, outputs = work.max_length, work.task.num_outputs
    input_ids = torch.zeros(rows, length, dtype=torch.int64)
    mask = torch.ones_like(input_ids)
    mask[:, -1] = 0
    is_tagging = work.task.kind == "tagging"
    wanted = mask.flatten().nonzero().squeeze(1) if is_tagging else torch.arange(rows) * length
    labels = torch.zeros(len(wanted), dtype=torch.int64)
    if work.task.kind == "multi-label":
        labels = torch.zeros(rows, outputs, dtype=torch.bool)
    elif work.task.is_regression:
        labels = torch.zeros(rows)
    return Batch(
        input_ids, torch.zeros_like(input_ids), find_tokens(input_ids, mask), wanted, labels
    )


def _fake(batch: Batch, fakes: FakeTensorMode) -> Batch:
    """Return the batch as fake tensors."""
    tokens = batch.tokens
    fake_tokens = tokens._replace(
        is_real=fakes.from_tensor(tokens.is_real),
        places=None if tokens.places is None else fakes.from_tensor(tokens.places),
        by_length=fakes.from_tensor(tokens.by_length),
    )
    return Batch(
        input_ids=fakes.from_tensor(batch.input_ids),
        token_type_ids=fakes.from_tensor(batch.token_type_ids),
        tokens=fake_tokens,
        wanted=fakes.from_tensor(batch.wanted),
        labels=fakes.from_tensor(batch.labels),
    )
