"""What a run will be, told before anything is started: memory, time, disk."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from model.config import ElectraConfig
from pipeline.tables import number_of
from train.available import Available, available_memory
from train.config import Execution, PretrainConfig
from train.device import choose_device
from train.initial import make_model
from train.memory import (
    Choice,
    Memory,
    Training,
    in_one_pass,
    largest_micro_batch,
    predict_memory,
)
from train.plan_disk import Disk, count_exported, predict_disk
from train.plan_rows import VOCAB_SIZE, PlannedRows, plan_rows
from train.plan_stage import StagePlan, plan_stage
from train.precision import Precision, choose_precision
from train.runs import ModelKind, main_shape
from train.step import Taken
from train.trial import Trial, explain_excess, fit_trial, try_training

Say = Callable[[str], None]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will be.

    Attributes:
        preset: Its name.
        device: Where it was tried: "cpu", "cuda" or "mps".
        parameters: Of each network, and "total", where what two networks share counts once.
        precision: Which, and why.
        stages: At least one.
        disk: What the run's folder takes; None: the steps are not known.
        assumed: What is not known and was assumed, in sentences.
    """

    preset: str
    device: str
    parameters: dict[str, int]
    precision: Precision
    stages: tuple[StagePlan, ...]
    disk: Disk | None
    assumed: tuple[str, ...]

    @property
    def hours(self) -> float | None:
        """Return the hours of the whole run; None: there is no speed."""
        return _sum([stage.hours for stage in self.stages])

    @property
    def steps(self) -> int | None:
        """Return the updates of the whole run; None: there is no speed."""
        return _sum([stage.steps for stage in self.stages])

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
    free = available_memory(device)  # before trials, which leave some of it with the allocator
    choices = _choose(config, execution, rows, precision, device, say)
    stages = []
    for number, stage in enumerate(rows.stages):
        choice = choices[stage.max_length]
        training = _training(config, rows, stage.max_length, precision, device)
        taken = rows.take(stage, config.seed)
        trial, remarks = _try_stage(training, taken, choice, precision, device, free, seconds, say)
        stages.append(plan_stage(config, execution, rows, number, choice, trial, remarks))
    parameters, steps = count_parameters(rows.kind), _sum([stage.steps for stage in stages])
    return Plan(
        preset=config.preset,
        device=device.type,
        parameters=parameters,
        precision=precision,
        stages=tuple(stages),
        disk=None
        if steps is None
        else predict_disk(
            execution, steps, stages[0].choice.memory, count_exported(rows.kind, parameters)
        ),
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
        elif execution.micro_batch is not None:
            reason = "as asked for"
        else:
            reason = f"{in_one_pass(batch_size)}; --memory chooses what fits"
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
    training: Training,
    taken: Taken,
    choice: Choice,
    precision: Precision,
    device: torch.device,
    available: Available | None,
    seconds: float,
    say: Say,
) -> tuple[Trial | None, tuple[str, ...]]:
    """Return how fast a stage is, with fewer rows at a time where memory asks for it, and why."""
    length = training.header.max_length
    tried: Choice | None = choice
    remarks: tuple[str, ...] = ()
    if available is not None and choice.memory.total > available.free:
        tried = fit_trial(training, choice, len(taken.rows), available.free)
        remarks = (explain_excess(choice, tried, available),)
    if tried is None:
        return None, remarks
    at_a_time = number_of(tried.micro_batch, "row")
    say(f"training on {at_a_time} of {length} at a time, for {seconds:g} seconds ...")
    return try_training(training, tried, taken, precision, device, seconds, say), remarks


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


def _sum(numbers: Sequence[Number | None]) -> Number | None:
    """Return a sum; None where a part of it is not known."""
    known = [number for number in numbers if number is not None]
    return sum(known[1:], known[0]) if len(known) == len(numbers) else None


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
    if plan.disk is not None:
        document["disk"]["total"] = plan.disk.total
    for stage, found in zip(document["stages"], plan.stages, strict=True):
        stage["choice"]["memory"]["total"] = found.choice.memory.total
    return document | {"hours": plan.hours, "steps": plan.steps}
