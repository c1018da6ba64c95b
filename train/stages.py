"""Stages of a run: rows of one length after another, each with a batch size of its own.

Written "128:0.9,512:0.1" (length and share of the run) or "128x256:0.9,512x64:0.1" (length, rows in
an update, share). Where rows are not said, an update has as many tokens as one of the first stage,
as far as whole rows go: then learning rate and noise of the gradient suit all stages alike.

Shares are decimals as they are written, so that stages meet without a gap: a run of any number of
steps is divided exactly. A stage whose share is less than half a step has none.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

STAGE = re.compile(r"(?P<length>\d{1,9})(?:x(?P<rows>\d{1,9}))?(?::(?P<share>\d*\.?\d+))?")


@dataclass(frozen=True)
class Stage:
    """A part of a run with rows of one length.

    Attributes:
        max_length: Length of its rows, in tokens.
        share: Share of the run's steps, or of its hours, above 0.
        batch_size: Rows in an update; None: see `with_rows`.

    Raises:
        ValueError: A value is out of range.
    """

    max_length: int
    share: float = 1.0
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.max_length < 1 or self.batch_size == 0:
            raise ValueError(f"{self} has a number that is not above 0: give 1 or more")
        if not 0 < self.share <= 1:
            problem = f"the share of {self} is not above 0 and at most 1"
            raise ValueError(f"{problem}: give one such as 0.9")

    def __str__(self) -> str:
        """Return how a person writes it."""
        rows = "" if self.batch_size is None else f"x{self.batch_size}"
        return f"{self.max_length}{rows}:{self.share}"


@dataclass(frozen=True)
class Position:
    """Where a step takes its rows.

    Attributes:
        stage: Number of the stage, from 0.
        max_length: Length of its rows.
        batch_size: Rows in the update, of all processes together.
        cursor: How many rows of this length the steps before have taken: the step's rows are those
            at `cursor` and on in the shuffled order of this length.
    """

    stage: int
    max_length: int
    batch_size: int
    cursor: int


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Return the stages that a person wrote; a single one needs no share.

    Raises:
        ValueError: It is not of the form, or shares do not sum to 1.
    """
    found = [STAGE.fullmatch(part.strip()) for part in text.split(",")]
    stages = []
    for match in found:
        if match is None or (match["share"] is None and len(found) > 1):
            form = "512, 128:0.9,512:0.1 or 128x256:0.9,512x64:0.1"
            raise ValueError(f"{text!r} is not of the form {form}: give one that is")
        rows = None if match["rows"] is None else int(match["rows"])
        stages.append(Stage(int(match["length"]), float(match["share"] or 1), rows))
    return restore_stages(stages)


def restore_stages(stages: Iterable[Stage | Mapping[str, Any]]) -> tuple[Stage, ...]:
    """Return stages from what a configuration or `run.json` holds.

    Raises:
        ValueError: A value is out of range, or shares do not sum to 1.
    """
    made = tuple(stage if isinstance(stage, Stage) else Stage(**stage) for stage in stages)
    total = sum(map(_exact, made), Fraction())
    if made and total != 1:
        problem = f"the shares sum to {float(total):g}, not to 1"
        raise ValueError(f"{problem}: give shares that do, as in 128:0.9,512:0.1")
    return made


def with_rows(stages: tuple[Stage, ...], batch_size: int) -> tuple[Stage, ...]:
    """Return the stages with a batch size each.

    Args:
        stages: At least one.
        batch_size: Rows in an update of the first stage, where it does not say otherwise. A stage
            that does not say has as many as hold no more tokens, and at least one.
    """
    first = stages[0]
    tokens = first.max_length * (first.batch_size or batch_size)
    return tuple(
        replace(stage, batch_size=stage.batch_size or max(1, tokens // stage.max_length))
        for stage in stages
    )


def first_steps(stages: tuple[Stage, ...], steps: int) -> tuple[int, ...]:
    """Return the step with which each stage begins, in a run of so many steps."""
    ends = accumulate(map(_exact, stages[:-1]), initial=Fraction())
    return tuple(int(end * steps + Fraction(1, 2)) for end in ends)


def begin_stages(
    stages: tuple[Stage, ...], begun: tuple[int, ...], step: int, progress: float
) -> tuple[int, ...]:
    """Return the first steps of the stages that have begun, where the clock decides.

    They belong into the checkpoint: with them a resume finds its rows without the clock.

    Args:
        stages: All of them.
        begun: What this returned at the step before; () at step 0.
        step: The step that is about to be done.
        progress: Share of the run's time that is over, from 0 to below 1.
    """
    ends = accumulate(map(_exact, stages[:-1]), initial=Fraction())
    reached = sum(progress >= end for end in ends)
    return begun + (step,) * (reached - len(begun))


def find_position(stages: tuple[Stage, ...], begun: tuple[int, ...], step: int) -> Position:
    """Return where a step takes its rows.

    A stage goes on where an earlier one of the same length has stopped: no row is repeated before
    its epoch is over.

    Args:
        stages: With a batch size each: see `with_rows`.
        begun: First steps of all stages (`first_steps`), or of those begun (`begin_stages`).
        step: From 0.
    """
    number = bisect_right(begun, step) - 1
    stage = stages[number]
    spans = pairwise([*begun[: number + 1], step])
    cursor = sum(
        (stop - start) * _rows(before)
        for before, (start, stop) in zip(stages, spans, strict=False)
        if before.max_length == stage.max_length
    )
    return Position(number, stage.max_length, _rows(stage), cursor)


def _rows(stage: Stage) -> int:
    if stage.batch_size is None:
        raise TypeError(f"{stage} has no batch size: with_rows gives it one")
    return stage.batch_size


def _exact(stage: Stage) -> Fraction:
    """Return the share as the decimal that it is written as: .1 is a tenth."""
    return Fraction(str(stage.share))
