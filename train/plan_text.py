"""A plan as aligned text."""

from dataclasses import asdict

from pipeline.tables import align, in_units, number_of
from train.memory import Memory
from train.plan import Plan
from train.plan_disk import Disk
from train.plan_stage import StagePlan

WORDS = {
    "optimizer": "optimizer's state",
    "activations": "activations and temporaries",
    "checkpoint": "copy for a checkpoint",
    "overhead": "libraries, and what is lost",
}
"""Parts of memory that a person knows by another name."""


def plan_text(plan: Plan) -> str:
    """Return what a person reads."""
    widest = max(plan.stages, key=lambda one: one.choice.memory.total)
    lines = [
        f"{plan.preset} on {plan.device}",
        "",
        *_section("parameters", [(name, f"{count:,}") for name, count in plan.parameters.items()]),
        "",
        f"precision: {plan.precision.reason}",
        "",
        *_section(f"memory, on rows of {widest.max_length}", _memory(widest)),
    ]
    for stage in plan.stages:
        lines += ["", *_stage(stage)]
    lines += [
        "",
        *_section("disk", [("not known", "")] if plan.disk is None else _disk(plan.disk)),
        "",
        f"in all {_length(plan)}; checkpoints are written while training goes on",
        *(f"note: {sentence}" for sentence in plan.assumed),
    ]
    return "\n".join(lines)


def in_hours(hours: float) -> str:
    """Return a time as a person reads it."""
    if hours < 1:
        return f"{60 * hours:.1f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:,.1f} days"


def _length(plan: Plan) -> str:
    """Return steps and hours of a run, as far as they are known."""
    steps = "" if plan.steps is None else number_of(plan.steps, "step")
    hours = "a time that is not known" if plan.hours is None else in_hours(plan.hours)
    return ", ".join(filter(None, (steps, hours)))


def _section(title: str, table: list[tuple[str, str]]) -> list[str]:
    return [title, *(f"  {line}" for line in align(table))]


def _memory(stage: StagePlan) -> list[tuple[str, str]]:
    memory: Memory = stage.choice.memory
    parts = [(WORDS.get(name, name), in_units(size)) for name, size in asdict(memory).items()]
    table = [part for part, size in zip(parts, asdict(memory).values(), strict=True) if size]
    table.append(("in all", in_units(memory.total)))
    trial = stage.trial
    is_tried = trial is not None and trial.micro_batch == stage.choice.micro_batch
    if is_tried and trial is not None and trial.peak_memory is not None:
        table.append(("measured, of tensors", in_units(trial.peak_memory)))
    return table


def _stage(stage: StagePlan) -> list[str]:
    choice, trial = stage.choice, stage.trial
    division = f"{choice.micro_batches} of {number_of(choice.micro_batch, 'row')}"
    kept = "computed again" if choice.activation_checkpointing else "kept"
    table = [
        ("rows of an update", f"{stage.batch_size:,}"),
        ("micro-batches", division),
        ("activations", kept),
    ]
    speed = "no speed"
    if trial is not None:
        table += [
            ("tokens a second", f"{trial.tokens_per_second:,.0f}"),
            ("seconds an update", f"{trial.seconds_per_update:.3g}"),
        ]
        if trial.flops_utilisation is not None:
            share = f"{trial.flops_utilisation:.0%}"
            table.append(("of the device's matrix products", share))
        timed = number_of(trial.micro_batches, "micro-batch").replace("batchs", "batches")
        of = "" if trial.micro_batch == choice.micro_batch else f" of {trial.micro_batch:,}"
        speed = f"speed: {timed}{of} timed"
    known = [
        ("steps", None if stage.steps is None else f"{stage.steps:,}"),
        ("evaluations", None if stage.evaluations is None else f"{stage.evaluations:,}"),
        ("they take about", _hours(stage.evaluation_hours)),
        ("time in all", _hours(stage.hours)),
        ("epochs", None if stage.epochs is None else f"{stage.epochs:.2f}"),
    ]
    table += [(name, value) for name, value in known if value is not None]
    return [
        *_section(f"rows of {stage.max_length} tokens ({speed})", table),
        f"  {choice.reason}",
        *(f"  {remark}" for remark in stage.remarks),
    ]


def _hours(hours: float | None) -> str | None:
    return None if hours is None else in_hours(hours)


def _disk(disk: Disk) -> list[tuple[str, str]]:
    return [
        (
            f"{number_of(disk.checkpoints, 'checkpoint')}",
            in_units(disk.checkpoints * disk.checkpoint),
        ),
        ("metrics", in_units(disk.metrics)),
        ("export", in_units(disk.export)),
        ("in all", in_units(disk.total)),
    ]
