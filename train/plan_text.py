"""A plan as aligned text."""

from dataclasses import asdict

from pipeline.tables import align, in_units, number_of
from train.memory import Memory
from train.plan import Plan, StagePlan

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
        *_section("disk", _disk(plan)),
        "",
        f"in all {number_of(plan.steps, 'step')}, {in_hours(plan.hours)}; checkpoints are written "
        "while training goes on",
        *(f"note: {sentence}" for sentence in plan.assumed),
    ]
    return "\n".join(lines)


def in_hours(hours: float) -> str:
    """Return a time as a person reads it."""
    if hours < 1:
        return f"{60 * hours:.1f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:,.1f} days"


def _section(title: str, table: list[tuple[str, str]]) -> list[str]:
    return [title, *(f"  {line}" for line in align(table))]


def _memory(stage: StagePlan) -> list[tuple[str, str]]:
    memory: Memory = stage.choice.memory
    parts = [(WORDS.get(name, name), in_units(size)) for name, size in asdict(memory).items()]
    table = [part for part, size in zip(parts, asdict(memory).values(), strict=True) if size]
    table.append(("in all", in_units(memory.total)))
    if stage.trial.peak_memory is not None:
        table.append(("measured, of tensors", in_units(stage.trial.peak_memory)))
    return table


def _stage(stage: StagePlan) -> list[str]:
    choice, trial = stage.choice, stage.trial
    division = f"{choice.micro_batches} of {number_of(choice.micro_batch, 'row')}"
    kept = "computed again" if choice.activation_checkpointing else "kept"
    table = [
        ("rows of an update", f"{stage.batch_size:,}"),
        ("micro-batches", division),
        ("activations", kept),
        ("tokens a second", f"{trial.tokens_per_second:,.0f}"),
        ("seconds an update", f"{trial.seconds_per_update:.3g}"),
        ("of the device's matrix products", f"{trial.flops_utilisation:.0%}"),
        ("steps", f"{stage.steps:,}"),
        ("evaluations", f"{stage.evaluations:,}"),
        ("they take about", in_hours(stage.evaluation_hours)),
        ("time in all", in_hours(stage.hours)),
    ]
    if stage.epochs is not None:
        table.append(("epochs", f"{stage.epochs:.2f}"))
    timed = number_of(trial.micro_batches, "micro-batch").replace("batchs", "batches")
    return [
        *_section(f"rows of {stage.max_length} tokens (speed: {timed} timed)", table),
        f"  {choice.reason}",
    ]


def _disk(plan: Plan) -> list[tuple[str, str]]:
    disk = plan.disk
    return [
        (
            f"{number_of(disk.checkpoints, 'checkpoint')}",
            in_units(disk.checkpoints * disk.checkpoint),
        ),
        ("metrics", in_units(disk.metrics)),
        ("export", in_units(disk.export)),
        ("in all", in_units(disk.total)),
    ]
