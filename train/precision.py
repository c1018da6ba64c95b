"""In which precision matrix products are computed: what a device does soundly, and fastest.

Capability tables are wrong too often. Turing and older emulate bfloat16; float16 of GTX 16xx cards
overflows to NaN; CPUs without instructions for a format convert at every product. So a format is
tried on a small network against float32, and those that are sound are timed.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from statistics import median
from typing import cast

import torch
from torch import Tensor, nn

from model.config import ElectraConfig, ModelConfig
from model.presets import PRESETS
from model.transformer import Transformer
from shards.errors import DataError
from train.config import PrecisionName

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names, in `torch.cpu.get_capabilities`, of those for products in bfloat16."""
TOLERANCE = 0.05
"""Difference from float32, as a share of the largest value. Bfloat16 has steps of 2^-8 (.004), and
errors of some products in a row add up; what is broken is off by far more, or not finite."""
ADVANTAGE: dict[PrecisionName, float] = {"float32": 1.2, "bfloat16": 1.1, "float16": 1.0}
"""A format with less error, or without a scaler, may be slower by so much."""
PROBE = (4, 64, 64)
"""Rows, places and width of the network on which a format is tried."""
TIMED_ROWS, TIMED_LENGTH = {"cpu": 8, "cuda": 64, "mps": 64}, 128
TIMED_SECONDS = 0.2
USE_AUTO = "leave it out, and the fastest sound one is chosen"

ON_CPU = "on a CPU, bfloat16 would compile code for every number of tokens, and keep it"
"""oneDNN, which has its products, does so; no two batches have the same number. Up to 2 GB."""
HOME = cast(ElectraConfig, PRESETS["home"].model).discriminator
Network = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Precision:
    """The format of matrix products; weights, optimizer and losses are float32 in any.

    Attributes:
        name: The format, as in `run.json`.
        reason: Why it was chosen, in a sentence.
    """

    name: PrecisionName
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        """Return the format."""
        return DTYPES[self.name]

    @property
    def needs_scaler(self) -> bool:
        """Return whether gradients vanish in it unless the loss is scaled (`torch.amp`)."""
        return self.name == "float16"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context for forward passes."""
    if precision.name == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=precision.dtype)


def choose_precision(
    name: PrecisionName, device: torch.device, shape: ModelConfig = HOME
) -> Precision:
    """Return the precision that `name` stands for on `device`; "auto" takes about a second.

    Args:
        name: What a person chose.
        device: Where to compute.
        shape: Of the network that is to be fast.

    Raises:
        DataError: `name` is a format that this device gets wrong.
    """
    if name == "auto":
        if device.type == "cpu":
            return Precision("float32", f"float32: {ON_CPU}")
        return find_fastest(device, shape)
    if name == "float32":
        return Precision(name, "float32, as asked for")
    if fault := find_fault(device, DTYPES[name]):
        raise DataError(f"--precision {name} is unsound on {device.type}: {fault}", USE_AUTO)
    remark = "" if is_native(device, DTYPES[name]) else "; the device has no instructions for it"
    return Precision(name, f"{name}, as asked for{remark}")


def find_fault(
    device: torch.device, dtype: torch.dtype, network: Network | None = None
) -> str | None:
    """Return what is wrong with `dtype` on `device`; None: it agrees with float32.

    Args:
        device: Where to compute.
        dtype: The format of matrix products.
        network: Takes states (B, T, H) and two weights (H, H), returns states; None = a layer of a
            transformer in small.
    """
    network = network or tried_network
    generator = torch.Generator().manual_seed(0)
    rows, places, width = PROBE
    states = torch.randn(rows, places, width, generator=generator).to(device)
    weights = [torch.randn(width, width, generator=generator).to(device) for _ in range(2)]
    expected = _outputs_and_gradients(network, torch.float32, states, weights)
    try:
        found = _outputs_and_gradients(network, dtype, states, weights)
    except RuntimeError as error:  # torch's word for what a device cannot do
        return str(error).partition("\n")[0]
    for what, one, other in zip(("output", "gradient", "gradient"), expected, found, strict=True):
        if not other.isfinite().all():
            return f"a small network's {what} is not finite"
        if (off := ((one - other).abs().max() / one.abs().max()).item()) > TOLERANCE:
            return f"a small network's {what} is off by {off:.0%}"
    return None


def tried_network(states: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return (B, T, H) of a layer in small: products, softmax, exponential and LayerNorm."""
    width = states.shape[-1]
    queries = states @ first / width**0.5
    attention = (queries @ states.mT / width**0.5).softmax(-1)
    mixed = nn.functional.layer_norm(attention @ states + states, (width,))
    hidden = nn.functional.gelu(mixed @ second / width**0.5)
    return hidden + hidden.float().logsumexp(-1, keepdim=True)


def _outputs_and_gradients(
    network: Network, dtype: torch.dtype, states: Tensor, weights: list[Tensor]
) -> list[Tensor]:
    """Return output and gradients of both weights, as float32 on the host."""
    weights = [weight.clone().requires_grad_() for weight in weights]
    device = states.device.type
    with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
        output = network(states, *weights)
    # Of mixed signs, so that errors do not add up; scaled as a loss is, clear of the least float16.
    output.float().cos().sum().backward()  # type: ignore[no-untyped-call]
    gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    return [value.detach().float().cpu() for value in (output, *gradients)]


def is_native(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the device has instructions for products in `dtype`, as far as torch tells."""
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        return dtype == torch.bfloat16 and any(known.get(name) for name in CPU_INSTRUCTIONS)
    if device.type == "cuda" and dtype == torch.bfloat16:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


def time_training(device: torch.device, dtype: torch.dtype, shape: ModelConfig) -> float:
    """Return the seconds a token of forward and backward passes through a layer, the median.

    A whole layer, and another number of tokens in each pass, as training has them: on a CPU oneDNN
    compiles code for every number that it meets in bfloat16, which takes what its faster products
    save. Generators stay as they were.
    """
    with torch.random.fork_rng():
        layer = Transformer(_one_layer(shape)).to(device)
        rows, length = TIMED_ROWS[device.type], layer.config.max_position_embeddings
        tokens = torch.zeros(rows, length, dtype=torch.int64, device=device)
        _train(layer, tokens, dtype)  # the first pass loads kernels
        seconds: list[float] = []
        end = time.perf_counter() + TIMED_SECONDS
        while not seconds or time.perf_counter() < end:
            fewer = tokens[:, : length - len(seconds) % (length // 2)]
            start = time.perf_counter()
            _train(layer, fewer, dtype)
            seconds.append((time.perf_counter() - start) / fewer.numel())
    return median(seconds)


def _one_layer(shape: ModelConfig) -> ModelConfig:
    length = min(TIMED_LENGTH, shape.max_position_embeddings)
    return replace(shape, num_hidden_layers=1, num_hidden_groups=1, max_position_embeddings=length)


def _train(layer: Transformer, tokens: Tensor, dtype: torch.dtype) -> None:
    """Pass through a layer and back, and wait for the device."""
    device = tokens.device
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        states = layer(tokens)
    states.float().square().mean().backward()
    layer.zero_grad()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def fastest(seconds: Mapping[PrecisionName, float], faults: Mapping[str, str]) -> Precision:
    """Return the best of the sound formats.

    Args:
        seconds: How long training takes in each sound format, float32 among them.
        faults: What is wrong with the other formats.
    """
    speed = {name: seconds["float32"] / taken for name, taken in seconds.items()}
    name = max(speed, key=lambda one: speed[one] * ADVANTAGE[one])
    others = [f"{one} {speed[one]:.1f} times" for one in speed if one not in (name, "float32")]
    notes = [", ".join(others)] if others else []
    notes += [f"{one} is left out: {fault}" for one, fault in faults.items()]
    beside = f" ({'; '.join(notes)})" if notes else ""
    if name == "float32":
        return Precision(name, f"float32: nothing is sound and faster on this device{beside}")
    return Precision(name, f"{name}: {speed[name]:.1f} times as fast as float32{beside}")


def find_fastest(device: torch.device, shape: ModelConfig) -> Precision:
    """Return the precision in which a layer of `shape` trains fastest, of those that are sound."""
    seconds: dict[PrecisionName, float] = {"float32": time_training(device, torch.float32, shape)}
    faults: dict[str, str] = {}
    names: tuple[PrecisionName, ...] = ("bfloat16", "float16")
    for name in names:
        dtype = DTYPES[name]
        if not is_native(device, dtype):
            faults[name] = "the device has no instructions for it"
        elif fault := find_fault(device, dtype):
            faults[name] = fault
        else:
            seconds[name] = time_training(device, dtype, shape)
    if device.type != "cpu":
        torch.accelerator.empty_cache()  # so that what was tried is not in the run's memory
    return fastest(seconds, faults)
