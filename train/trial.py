"""How fast a device trains, found by updates that come to nothing: the model is thrown away."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from model.flops import step_flops
from pipeline.tables import number_of
from train.available import Available
from train.initial import checkpoint_activations, make_model
from train.memory import BUSY_TOKENS, Choice, Training, predict_memory, tell_apart
from train.optimizer import make_optimizer
from train.out_of_memory import SMALLER
from train.precision import Precision
from train.speed import peak_memory, peak_rate, utilisation
from train.step import Taken, Updater

OPTIMIZER_TRIES = 3
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What some micro-batches measured.

    Attributes:
        seconds_per_update: Of a whole batch.
        tokens_per_second: Tokens of rows, without padding.
        flops_utilisation: Share of the device's rate of matrix products that the model's own are;
            None: more than all, so the machine was busy meanwhile.
        micro_batch: Rows of each; fewer than are planned where those do not fit.
        micro_batches: How many were timed.
        peak_memory: Bytes, of the device; None: on a CPU, where more than this was in memory.
    """

    seconds_per_update: float
    tokens_per_second: float
    flops_utilisation: float | None
    micro_batch: int
    micro_batches: int
    peak_memory: int | None


class _Passes:
    """Forward and backward passes over micro-batches of a batch, each with an update at rate 0."""

    def __init__(self, updater: Updater, training: Training, taken: Taken, say: Say) -> None:
        self.updater, self.training, self.taken, self.say = updater, training, taken, say
        self.parts = middle_first(taken.rows.length, updater.micro_batch or len(taken.rows))
        self.count = self.tokens = self.flops = 0
        self.seconds = 0.0

    def do(self, number: int) -> None:
        """Do one."""
        whole, part = self.taken, self.parts[number % len(self.parts)]
        rows = whole.rows.take(part)
        start = _now(self.updater.device)
        measured = self.updater.update(
            Taken(rows, whole.epochs[part], whole.header, 0), 0.0, (0, number), self.say
        )
        self.seconds += _now(self.updater.device) - start
        self.count += 1
        self.tokens += int(rows.length.sum())
        self.flops += sum(step_flops(self.training.kind, size) for size in measured.sizes)


def fit_trial(training: Training, choice: Choice, batch_size: int, free: int) -> Choice | None:
    """Return the division that a trial may try in so much memory; None: not even a row fits.

    It is the one chosen, or one of micro-batches that just keep a device busy, or of smaller ones.
    """
    if choice.memory.total <= free:
        return choice
    rows = min(choice.micro_batch // 2, math.ceil(BUSY_TOKENS / training.header.max_length))
    while rows:
        checkpoints = choice.activation_checkpointing
        memory = predict_memory(training, batch_size, rows, checkpoints)
        if memory.total <= free:
            parts = math.ceil(batch_size / rows)
            return replace(choice, micro_batch=rows, micro_batches=parts, memory=memory)
        rows //= 2
    return None


def explain_excess(choice: Choice, tried: Choice | None, available: Available) -> str:
    """Return that what is planned does not fit, what was tried instead, and what to do."""
    is_too_large = choice.memory.total > available.total
    limit = available.total if is_too_large else available.free
    takes, there_is = tell_apart(choice.memory.total, limit)
    rows = number_of(choice.micro_batch, "row")
    there_is = f"there are only {there_is}" if is_too_large else f"only {there_is} are free"
    problem = f"{rows} in a forward pass take {takes}, and {there_is}"
    if tried is None:
        return f"{problem}; not even one row fits, so nothing was timed: {SMALLER}"
    memory, fits = f"--memory {available.free // 10**6}MB", tried.micro_batch
    remedy = f"give {memory}, which chooses what fits, or --micro-batch {fits}"
    return f"{problem}: {remedy}; timed with {number_of(fits, 'row')}"


def try_training(
    training: Training,
    choice: Choice,
    taken: Taken,
    precision: Precision,
    device: torch.device,
    seconds: float,
    say: Say,
) -> Trial:
    """Time micro-batches, at least one after a first, and the optimizer; generators stay as set.

    Args:
        training: What is trained.
        choice: How a batch is divided.
        taken: The rows of a batch.
        precision: Of the forward pass.
        device: Where to compute.
        seconds: How long.
        say: Called where memory does not suffice.
    """
    with torch.random.fork_rng():
        updater = _make_updater(training, choice, precision, device)
        _Passes(updater, training, taken, say).do(0)  # it makes memory, and loads kernels
        passes = _Passes(updater, training, taken, say)
        end = time.perf_counter() + seconds
        while not passes.count or time.perf_counter() < end:
            passes.do(passes.count)
        update = _time_optimizer(updater)
    computing = max(passes.seconds - passes.count * update, passes.seconds / 10)
    tokens = int(taken.rows.length.sum())
    whole = computing * tokens / passes.tokens + update
    return Trial(
        seconds_per_update=whole,
        tokens_per_second=tokens / whole,
        flops_utilisation=utilisation(passes.flops / computing, peak_rate(device, precision.dtype)),
        micro_batch=updater.micro_batch or choice.micro_batch,
        micro_batches=passes.count,
        peak_memory=None if device.type == "cpu" else peak_memory(device),
    )


def middle_first(lengths: NDArray[np.uint16], micro_batch: int) -> list[NDArray[np.int64]]:
    """Return the rows of each micro-batch of a batch, that of the middle lengths first.

    Whatever number of them is timed from there on, they are of average length.
    """
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    parts = [order[start : start + micro_batch] for start in range(0, len(order), micro_batch)]
    middle = (len(parts) - 1) / 2
    return [parts[n] for n in sorted(range(len(parts)), key=lambda n: abs(n - middle))]


def _make_updater(
    training: Training, choice: Choice, precision: Precision, device: torch.device
) -> Updater:
    model = make_model(training.kind)
    checkpoint_activations(model, choice.activation_checkpointing)
    model.to(device)
    return Updater(
        model,
        make_optimizer(model, training.config),
        precision,
        device,
        max_grad_norm=training.config.max_grad_norm,
        micro_batch=choice.micro_batch,
    )


def _time_optimizer(updater: Updater) -> float:
    """Return the seconds of the optimizer's step, the least of some."""
    for parameter in updater.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    seconds = []
    for _ in range(OPTIMIZER_TRIES):
        start = _now(updater.device)
        updater.optimizer.step()
        seconds.append(_now(updater.device) - start)
    return min(seconds)


def _now(device: torch.device) -> float:
    """Return the time when the device has done what it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()
