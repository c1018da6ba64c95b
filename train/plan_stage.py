"""What one stage of a run will be: updates and hours, from the speed that was measured."""

from dataclasses import dataclass

from train.config import Execution, PretrainConfig
from train.memory import Choice
from train.plan_rows import PlannedRows
from train.stages import first_steps
from train.trial import Trial

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
        trial: How fast it was here; None: not even a row fits, so there is no speed, and of steps
            and hours only what was asked for.
        remarks: What does not fit, and what to do, in sentences.
        evaluations: Times that the model is scored.
        evaluation_hours: They take, by estimate; a part of `hours`.
        hours: It takes.
        epochs: How often it goes through its rows; None: without shards nobody knows.
    """

    max_length: int
    batch_size: int
    steps: int | None
    choice: Choice
    trial: Trial | None
    remarks: tuple[str, ...]
    evaluations: int | None
    evaluation_hours: float | None
    hours: float | None
    epochs: float | None


def plan_stage(
    config: PretrainConfig,
    execution: Execution,
    rows: PlannedRows,
    number: int,
    choice: Choice,
    trial: Trial | None,
    remarks: tuple[str, ...],
) -> StagePlan:
    """Return a stage's updates, by its share of the steps or of the hours, and their time."""
    stage = rows.stages[number]
    batch_size, there_are = stage.batch_size or 1, rows.count(stage.max_length)
    update = None if trial is None else trial.seconds_per_update
    scored = rows.count_scored(stage.max_length)
    scoring = None if update is None else SCORING * update / batch_size * scored
    evaluate_every = execution.evaluate_every or execution.checkpoint_every
    first, steps, hours = 0, None, None
    if config.seconds is None:
        first, end = (*first_steps(rows.stages, config.steps), config.steps)[number : number + 2]
        steps = end - first
    elif update is not None and scoring is not None:
        steps = int(config.seconds * stage.share / (update + scoring / evaluate_every))
    else:
        hours = config.seconds * stage.share / 3600
    evaluations = evaluation_hours = None
    if steps is not None:
        is_last = number == len(rows.stages) - 1
        evaluations = (first + steps) // evaluate_every - first // evaluate_every
        evaluations += bool(is_last and steps and (first + steps) % evaluate_every)  # at the end
        if update is not None and scoring is not None:
            evaluation_hours = evaluations * scoring / 3600
            hours = steps * update / 3600 + evaluation_hours
    return StagePlan(
        max_length=stage.max_length,
        batch_size=batch_size,
        steps=steps,
        choice=choice,
        trial=trial,
        remarks=remarks,
        evaluations=evaluations,
        evaluation_hours=evaluation_hours,
        hours=hours,
        epochs=None if there_are is None or steps is None else steps * batch_size / there_are,
    )
