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
from train.plan_disk import Disk, predict_disk
from train.plan_rows import VOCAB_SIZE, PlannedRows, plan_rows
from train.precision import Precision, choose_precision
from train.runs import ModelKind, main_shape
from train.stages import Stage, first_steps
from train.trial import Trial, try_training

Say = Callable[[str], None]

SCORING = 0.5
"""Of the time of training on a row, what it takes to score it: 0.39 with `home`, 0.46 with `tiny`,
0.60 with `bert-mini`, on a CPU in float32."""


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """One stage of a run.

    Attributes:
        max_length: Of its rows, in tokens.
        batch_size: Rows of an update.
        steps: Updates.
        choice: How a batch is divided.
        trial: How fast it was here.
        evaluations: Times that the model is scored.
        evaluation_hours: They take, by estimate; a part of `hours`.
        hours: It takes.
        epochs: How often it goes through its rows; None: without shards nobody knows.
    """

    max_length: int
    batch_size: int
    steps: int
    choice: Choice
    trial: Trial
    evaluations: int
    evaluation_hours: float
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
        choice = choices[stage.max_length]
        trial = _try_stage(config, rows, stage, choice, precision, device, seconds, say)
        stages.append(_plan_stage(config, execution, rows, number, choice, trial))
    parameters, steps = count_parameters(rows.kind), sum(stage.steps for stage in stages)
    return Plan(
        preset=config.preset,
        device=device.type,
        parameters=parameters,
        precision=precision,
        stages=tuple(stages),
        disk=predict_disk(execution, steps, stages[0].choice.memory, parameters),
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
            reason = f"as asked for; --memory has room for {choice.micro_batch:,}"
        else:
            reason = "as asked for; --memory chooses what fits"
        if execution.memory is None or (execution.micro_batch or batch_size) < choice.micro_batch:
            micro_batch = min(execution.micro_batch or batch_size, batch_size)
            memory = predict_memory(training, batch_size, micro_batch, bool(checkpoints))
            choice = Choice(
                micro_batch=micro_batch,
                micro_batches=math.ceil(batch_size / micro_batch),
                activation_checkpointing=bool(checkpoints),
                memory=memory,
                reason=reason,
            )
        choices[stage.max_length] = choice
    return choices


def _try_stage(
    config: PretrainConfig,
    rows: PlannedRows,
    stage: Stage,
    choice: Choice,
    precision: Precision,
    device: torch.device,
    seconds: float,
    say: Say,
) -> Trial:
    say(f"training on rows of {stage.max_length} for {seconds:g} seconds, to see how fast ...")
    training = _training(config, rows, stage.max_length, precision, device)
    taken = rows.take(stage, config.seed)
    return try_training(training, choice, taken, precision, device, seconds, say)


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
    config: PretrainConfig,
    execution: Execution,
    rows: PlannedRows,
    number: int,
    choice: Choice,
    trial: Trial,
) -> StagePlan:
    """Return a stage's updates, by its share of the steps or of the hours, and their time."""
    stage = rows.stages[number]
    batch_size, there_are = stage.batch_size or 1, rows.count(stage.max_length)
    update = trial.seconds_per_update
    evaluate_every = execution.evaluate_every or execution.checkpoint_every
    scoring = SCORING * update / batch_size * rows.count_scored(stage.max_length)
    if config.seconds is not None:
        first = 0
        steps = int(config.seconds * stage.share / (update + scoring / evaluate_every))
    else:
        first, end = (*first_steps(rows.stages, config.steps), config.steps)[number : number + 2]
        steps = end - first
    is_last = number == len(rows.stages) - 1
    evaluations = (first + steps) // evaluate_every - first // evaluate_every
    evaluations += bool(is_last and steps and (first + steps) % evaluate_every)  # at the end
    return StagePlan(
        max_length=stage.max_length,
        batch_size=batch_size,
        steps=steps,
        choice=choice,
        trial=trial,
        evaluations=evaluations,
        evaluation_hours=evaluations * scoring / 3600,
        hours=(steps * update + evaluations * scoring) / 3600,
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
