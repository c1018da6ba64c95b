"""How much memory training takes, known before it begins, and the largest micro-batch that fits.

Counted on fake tensors (`train.fake_step`), so no device is needed. What is taken beside tensors is
an allowance: on a CPU it was measured, on a CUDA device it is a guess, and so is the rest there.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

import torch

from pipeline.tables import in_units, number_of
from shards.errors import DataError
from shards.format import ShardHeader
from train.config import PretrainConfig
from train.fake_step import StepShape, fake_step
from train.optimizer import make_optimizer
from train.runs import ModelKind

CPU_LIBRARIES = 80_000_000
"""Anonymous memory that oneDNN, MKL and autograd took in a step beside tensors: 80 MB in float32
for any preset, 100 in bfloat16."""
CPU_PROCESS = 250_000_000
"""Anonymous memory of Python and torch when all is imported, 190 MB, and of rows read ahead."""
CPU_ALLOCATOR = 120_000_000
"""What glibc keeps though it was freed: 90 to 115 MB in steps of `tiny` and `home` with activations
of 50 to 600 MB."""
CPU_FILES = 150_000_000
"""Code of libraries and pages of shards: 200 to 270 MB were resident at the peak, where all else
was 50 to 120 MB less than is counted. With it `tiny` (16 rows of 128) is 740 MB, and took 704 to
736; `electra-small` (8 rows) 1,341, and took 1,349 (`peak_memory` of 30 steps with an evaluation
and checkpoints; vocabulary 8,000, float32, one thread)."""
CPU_OVERHEAD = CPU_PROCESS + CPU_LIBRARIES + CPU_ALLOCATOR + CPU_FILES
CUDA_CONTEXT = 500_000_000
"""Driver, kernels and cuBLAS's workspace. Some 300 MB since kernels are loaded when first called
(https://github.com/pytorch/pytorch/issues/107667), more the newer the card: a guess."""
FRAGMENTATION = 0.1
"""Of activations: what the caching allocator cannot use between them; a guess."""
BUSY_TOKENS = 4096
"""A micro-batch of so many keeps a device busy: below, it waits for kernels to be launched, which
costs more than the third that activation checkpointing adds. A guess; a CPU needs fewer."""
PROBE_TOKENS = 8192
"""Of the larger of two micro-batches from which the memory of others is estimated."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained, on which rows, and where.

    Attributes:
        config: Of the run.
        kind: The networks.
        header: Of the shards whose rows are trained on; of the stage, where there are several.
        dtype: Of products, such as `train.precision.Precision.dtype`.
        device: "cpu", "cuda" or "mps", whose memory is taken to be used as a CPU's.
    """

    config: PretrainConfig
    kind: ModelKind
    header: ShardHeader
    dtype: torch.dtype
    device: str


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that training takes at most, by part.

    Attributes:
        weights: Of the networks.
        gradients: Of all weights.
        optimizer: What it keeps from update to update.
        activations: What a step takes beyond these.
        checkpoint: On a CPU, a copy of what is written while training goes on; elsewhere it is in
            another memory.
        overhead: What is taken beside tensors, and lost between them.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    checkpoint: int
    overhead: int

    @property
    def total(self) -> int:
        """Return the sum."""
        return sum(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a batch is divided.

    Attributes:
        micro_batch: Rows of a forward pass.
        micro_batches: Forward passes of an update.
        activation_checkpointing: Whether layers are computed again in the backward pass.
        memory: What that takes.
        reason: Why, in a sentence.
    """

    micro_batch: int
    micro_batches: int
    activation_checkpointing: bool
    memory: Memory
    reason: str


def predict_memory(
    training: Training, batch_size: int, micro_batch: int, activation_checkpointing: bool
) -> Memory:
    """Return the peak of memory in training; it takes a few seconds.

    Args:
        training: What is trained.
        batch_size: Rows of an update.
        micro_batch: Rows of a forward pass.
        activation_checkpointing: Whether layers are computed again in the backward pass.
    """
    on_cuda = training.device == "cuda"
    shape = StepShape(
        batch_size=batch_size,
        micro_batch=min(micro_batch, batch_size),
        dtype=training.dtype,
        activation_checkpointing=activation_checkpointing,
        on_cuda=on_cuda,
    )
    optimizer = partial(make_optimizer, config=training.config)
    counted = fake_step(training.kind, optimizer, training.header, shape)
    if on_cuda:
        overhead = CUDA_CONTEXT + round(FRAGMENTATION * counted.activations)
        return Memory(**vars(counted), checkpoint=0, overhead=overhead)
    # A copy of both, and of the larger the bytes that go to the file.
    written = counted.weights + counted.optimizer + max(counted.weights, counted.optimizer)
    return Memory(**vars(counted), checkpoint=written, overhead=CPU_OVERHEAD)


def largest_micro_batch(
    training: Training, budget: int, batch_size: int, activation_checkpointing: bool | None = None
) -> Choice:
    """Return the largest micro-batch whose memory stays within a budget.

    Activations are kept, not computed again, where a micro-batch then still has `BUSY_TOKENS`.

    Args:
        training: What is trained.
        budget: Bytes, of all that training takes: on a GPU, what the card has.
        batch_size: Rows of an update.
        activation_checkpointing: None = as memory asks for.

    Raises:
        DataError: Not even a row fits.
    """
    modes = (False, True) if activation_checkpointing is None else (activation_checkpointing,)
    enough = min(batch_size, math.ceil(BUSY_TOKENS / training.header.max_length))
    fits: list[Choice] = []
    for checkpoints in modes:
        fits += _fit(training, budget, batch_size, checkpoints)
        if fits and fits[-1].micro_batch >= enough:
            break
    if not fits:
        raise _too_large(training, budget, batch_size, modes[-1])
    best = max(fits, key=lambda fit: fit.micro_batch)  # of equals the first, with activations kept
    return replace(best, reason=_explain(best, fits, budget))


def _fit(
    training: Training, budget: int, batch_size: int, activation_checkpointing: bool
) -> list[Choice]:
    """Return the largest micro-batch that fits, as a list of one; [] if none does.

    Micro-batches are of one size, so far as the batch can be divided. Memory is the largest of
    several sums that are linear in the rows, one for each place where the peak may be: the line
    through two of its values is nowhere else above it. So it never promises too few rows, and from
    what it promises the way is down.
    """

    def choose(rows: int) -> Choice:
        memory = predict_memory(training, batch_size, rows, activation_checkpointing)
        return Choice(
            micro_batch=rows,
            micro_batches=math.ceil(batch_size / rows),
            activation_checkpointing=activation_checkpointing,
            memory=memory,
            reason="",
        )

    found = choose(batch_size)
    if found.memory.total <= budget:
        return [found]
    if found.memory.total - found.memory.activations > budget:
        return []
    probe = max(1, min(batch_size // 2, PROBE_TOKENS // training.header.max_length))
    above, below = choose(probe).memory.total, choose(math.ceil(probe / 2)).memory.total
    row = (above - below) / max(1, probe // 2)
    rows = probe + int((budget - above) / row) if row else probe
    while rows >= 1:
        parts = max(2, math.ceil(batch_size / rows))
        found = choose(math.ceil(batch_size / parts))
        excess = found.memory.total - budget
        if excess <= 0:
            return [found]
        rows = found.micro_batch - max(1, math.ceil(excess / row) if row else 1)
    return []


def _explain(best: Choice, fits: list[Choice], budget: int) -> str:
    """Return what was chosen and why, in a sentence."""
    division = (
        in_one_pass(best.micro_batch)
        if best.micro_batches == 1
        else f"{best.micro_batches:,} micro-batches of {number_of(best.micro_batch, 'row')}"
    )
    taken = f"{division}: {in_units(best.memory.total)} of {in_units(budget)}"
    if not best.activation_checkpointing:
        return f"{taken}, with all activations kept"
    kept = next((fit for fit in fits if not fit.activation_checkpointing), None)
    without = "not a row" if kept is None else number_of(kept.micro_batch, "row")
    return f"{taken}, with activation checkpointing: without, {without} would fit"


def in_one_pass(rows: int) -> str:
    """Return how a batch of so many rows goes through the networks where it is not divided."""
    return f"{'1 row' if rows == 1 else f'all {rows:,} rows'} in one forward pass"


def tell_apart(one: int, other: int) -> tuple[str, str]:
    """Return two sizes in bytes with as many digits as tell them apart."""
    words = in_units(one), in_units(other)
    if words[0] == words[1]:
        words = f"{one / 1e6:,.1f} MB", f"{other / 1e6:,.1f} MB"
    return words if words[0] != words[1] else (f"{one:,} bytes", f"{other:,} bytes")


def _too_large(training: Training, budget: int, batch_size: int, checkpoints: bool) -> DataError:
    """Return the error that says what would fit."""
    least = predict_memory(training, batch_size, 1, checkpoints)
    kept = least.total - least.activations - least.overhead
    parts = {
        "weights and what belongs to them": kept,
        "activations": least.activations,
        "the process and its libraries": least.overhead,
    }
    largest = max(parts, key=lambda name: parts[name])
    how = " with activation checkpointing" if checkpoints else ""
    taken, given = tell_apart(least.total, budget)
    problem = (
        f"{training.config.preset} on one row of {training.header.max_length} tokens takes {taken}"
        f"{how}, {in_units(parts[largest])} of it for {largest}; --memory is {given}"
    )
    ways = [f"give --memory {math.ceil(least.total / 1e6)}MB or more"]
    if least.overhead < budget:
        ways += ["a smaller --preset"]
        ways += _ways(training, least, budget, batch_size, checkpoints)
    return DataError(problem, " or ".join(ways))


def _ways(
    training: Training, least: Memory, budget: int, batch_size: int, checkpoints: bool
) -> list[str]:
    """Return what makes one row fit, or brings it nearer, without more memory."""
    ways = [] if checkpoints else ["--activation-checkpointing"]
    if least.total - least.activations <= budget:
        ways.append("shorter rows")
    if training.config.optimizer != "adafactor":
        frugal = replace(training, config=replace(training.config, optimizer="adafactor"))
        if predict_memory(frugal, batch_size, 1, checkpoints).total <= budget:
            ways.append("--optimizer adafactor with a --learning-rate for it")
    return ways
