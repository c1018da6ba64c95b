"""What a run will be, told before anything is started: memory, time, disk."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from model.config import ElectraConfig
from train.config import Execution, PretrainConfig
from train.device import choose_device
from train.initial import make_model
from train.memory import Choice, Memory, Training, largest_micro_batch, predict_memory
from train.plan_rows import VOCAB_SIZE, PlannedRows, plan_rows
from train.precision import Precision, choose_precision
from train.runs import ModelKind, main_shape
from train.stages import first_steps
from train.trial import Trial, try_training

Say = Callable[[str], None]

METRICS_LINE, EVENT = 700, 60
"""Bytes of a line of `metrics.jsonl`, and of a number in TensorBoard's events."""
EVENTS = 20
"""Numbers of a step that TensorBoard gets."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Bytes that a run leaves, and needs meanwhile.

    Attributes:
        checkpoint: One checkpoint: weights and optimizer.
        checkpoints: How many there are at most at a time: those kept, and the one being written.
        metrics: `metrics.jsonl` and TensorBoard's events.
        export: Weights of the networks for `transformers`.
    """

    checkpoint: int
    checkpoints: int
    metrics: int
    export: int

    @property
    def total(self) -> int:
        """Return the sum."""
        return self.checkpoint * self.checkpoints + self.metrics + self.export


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """One stage of a run.

    Attributes:
        max_length: Of its rows, in tokens.
        batch_size: Rows of an update.
        steps: Updates.
        choice: How a batch is divided.
        trial: How fast it was here.
        hours: It takes.
        epochs: How often it goes through its rows; None: without shards nobody knows.
    """

    max_length: int
    batch_size: int
    steps: int
    choice: Choice
    trial: Trial
    hours: float
    epochs: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will be.

    Attributes:
        preset: Its name.
        device: Where it was tried: "cpu", "cuda" or "mps".
        parameters: Of each network, and "total", where what two networks share counts once.
        precision: Which, and why.
        stages: At least one.
        disk: What the run's folder takes.
        assumed: What is not known and was assumed, in sentences.
    """

    preset: str
    device: str
    parameters: dict[str, int]
    precision: Precision
    stages: tuple[StagePlan, ...]
    disk: Disk
    assumed: tuple[str, ...]

    @property
    def hours(self) -> float:
        """Return the hours of the whole run."""
        return sum(stage.hours for stage in self.stages)

    @property
    def steps(self) -> int:
        """Return the updates of the whole run."""
        return sum(stage.steps for stage in self.stages)

    @property
    def memory(self) -> Memory:
        """Return the memory of the stage that takes most."""
        return max((stage.choice.memory for stage in self.stages), key=lambda one: one.total)


def make_plan(
    config: PretrainConfig,
    execution: Execution,
    shards: Path | None,
    seconds: float,
    say: Say,
    vocab_size: int = VOCAB_SIZE,
) -> Plan:
    """Plan a run, by training for some seconds in each stage.

    Args:
        config: What decides the numbers.
        execution: How it is to be carried out.
        shards: Folder that `pack` wrote; None: rows are assumed.
        seconds: How long to try each stage.
        say: Called before what takes a while.
        vocab_size: Tokens in the vocabulary, where there are no shards.

    Raises:
        DataError: It does not fit in memory, or there are no fitting shards.
    """
    device = choose_device(execution.device)
    rows = plan_rows(config, shards, vocab_size)
    precision = choose_precision(config.precision, device, main_shape(rows.kind))
    choices = _choose(config, execution, rows, precision, device, say)
    stages = []
    for number, stage in enumerate(rows.stages):
        say(f"training on rows of {stage.max_length} for {seconds:g} seconds, to see how fast ...")
        choice, taken = choices[stage.max_length], rows.take(stage, config.seed)
        training = _training(config, rows, stage.max_length, precision, device)
        trial = try_training(training, choice, taken, precision, device, seconds, say)
        stages.append(_plan_stage(config, rows, number, choice, trial))
    parameters = count_parameters(rows.kind)
    return Plan(
        preset=config.preset,
        device=device.type,
        parameters=parameters,
        precision=precision,
        stages=tuple(stages),
        disk=_disk(execution, stages, parameters),
        assumed=(*rows.assumptions, *_guesses(device)),
    )


def _choose(
    config: PretrainConfig,
    execution: Execution,
    rows: PlannedRows,
    precision: Precision,
    device: torch.device,
    say: Say,
) -> dict[int, Choice]:
    """Return how batches are divided, by length; the longest decide on checkpointing for all."""
    choices: dict[int, Choice] = {}
    checkpoints: bool | None = execution.activation_checkpointing or None
    for stage in sorted(rows.stages, key=lambda one: -one.max_length):
        say(f"counting the memory of a step on rows of {stage.max_length} ...")
        training = _training(config, rows, stage.max_length, precision, device)
        batch_size = stage.batch_size or 1
        if execution.memory is not None:
            choice = largest_micro_batch(training, execution.memory, batch_size, checkpoints)
            checkpoints = choice.activation_checkpointing
        if execution.memory is None or (execution.micro_batch or batch_size) < choice.micro_batch:
            micro_batch = min(execution.micro_batch or batch_size, batch_size)
            memory = predict_memory(training, batch_size, micro_batch, bool(checkpoints))
            choice = Choice(
                micro_batch=micro_batch,
                micro_batches=math.ceil(batch_size / micro_batch),
                activation_checkpointing=bool(checkpoints),
                memory=memory,
                reason="as asked for; --memory chooses what fits",
            )
        choices[stage.max_length] = choice
    return choices


def _training(
    config: PretrainConfig,
    rows: PlannedRows,
    max_length: int,
    precision: Precision,
    device: torch.device,
) -> Training:
    return Training(
        config=config,
        kind=rows.kind,
        header=rows.headers[max_length],
        dtype=precision.dtype,
        device=device.type,
    )


def _plan_stage(
    config: PretrainConfig, rows: PlannedRows, number: int, choice: Choice, trial: Trial
) -> StagePlan:
    """Return a stage's updates, by its share of the steps or of the hours, and their time."""
    stage = rows.stages[number]
    batch_size, there_are = stage.batch_size or 1, rows.count(stage.max_length)
    if config.seconds is not None:
        steps = int(config.seconds * stage.share / trial.seconds_per_update)
    else:
        begins = (*first_steps(rows.stages, config.steps), config.steps)
        steps = begins[number + 1] - begins[number]
    return StagePlan(
        max_length=stage.max_length,
        batch_size=batch_size,
        steps=steps,
        choice=choice,
        trial=trial,
        hours=steps * trial.seconds_per_update / 3600,
        epochs=None if there_are is None else steps * batch_size / there_are,
    )


def count_parameters(kind: ModelKind) -> dict[str, int]:
    """Return the weights of each network, and "total", where what two share counts once."""
    with torch.device("meta"):
        model = make_model(kind)
    names = ("generator", "discriminator") if isinstance(kind, ElectraConfig) else ("network",)
    parts = {name: model.get_submodule(name) for name in names} | {"total": model}
    return {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in parts.items()
    }


def _disk(execution: Execution, stages: list[StagePlan], parameters: dict[str, int]) -> Disk:
    steps, memory = sum(stage.steps for stage in stages), stages[0].choice.memory
    log_every = execution.log_every or 1
    for_good = 0 if execution.keep_every is None else steps // execution.keep_every
    written = math.ceil(steps / execution.checkpoint_every)
    return Disk(
        checkpoint=memory.weights + memory.optimizer,
        checkpoints=min(execution.keep + for_good, written) + 1,
        metrics=steps * METRICS_LINE + steps // log_every * EVENTS * EVENT,
        export=4 * sum(count for name, count in parameters.items() if name != "total"),
    )


def _guesses(device: torch.device) -> tuple[str, ...]:
    """Return what memory that was counted on a CPU's tensors cannot know of a device."""
    if device.type == "cpu":
        return ()
    return (
        f"memory on {device.type} is a guess from a CPU's tensors, context and fragmentation "
        "included; what was measured stands beside it",
    )


def as_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON has it."""
    document = asdict(plan)
    document["disk"]["total"] = plan.disk.total
    for stage, found in zip(document["stages"], plan.stages, strict=True):
        stage["choice"]["memory"]["total"] = found.choice.memory.total
    return document | {"hours": plan.hours, "steps": plan.steps}
