"""A trainer that only eats: batches at a given rate, and how long it waits for them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.reading.alone import anonymous_mb
from benchmarks.training.hearth import read_batches
from shards.reader import ShardFolder

BUSY_SIDE = 256
"""Side of the matrices that a busy step multiplies: a millisecond or less each."""


@dataclass(frozen=True)
class Meal:
    """How batches are eaten.

    Attributes:
        rows: Of a batch.
        rate: Rows a second that are eaten; None = as they come.
        seconds: How long, or until an epoch has been read.
        busy: Whether a step keeps the processor busy, or leaves it to others as a GPU does.
        device: Where batches are sent.
        threads: Of torch.
    """

    rows: int
    rate: float | None
    seconds: float
    busy: bool
    device: str
    threads: int


@dataclass(frozen=True)
class Fed:
    """How a meal went, from the second batch on.

    Attributes:
        first_ms: Until the first batch, from before the folder was opened.
        rows_per_s: What was eaten.
        data_wait: Share of the time in which a batch was waited for.
        batch_ms: The wait for a batch, on average.
        longest_ms: The longest.
        batches: How many.
        anonymous_mb: Anonymous memory at the end, Python and libraries included.
    """

    first_ms: float
    rows_per_s: float
    data_wait: float
    batch_ms: float
    longest_ms: float
    batches: int
    anonymous_mb: float


def feed(folder: Path, meal: Meal) -> Fed:
    """Eat batches of the shards in a folder."""
    torch.set_num_threads(meal.threads)
    step = _make_step(meal)
    start = time.perf_counter()
    shards = ShardFolder(folder, "train")
    batches = read_batches(shards, meal.rows, meal.device)
    next(batches)
    first = time.perf_counter()
    waits = list(_waits(batches, step, meal, (len(shards) - 1) // meal.rows))
    seconds = time.perf_counter() - first
    return Fed(
        first_ms=(first - start) * 1e3,
        rows_per_s=len(waits) * meal.rows / seconds,
        data_wait=sum(waits) / seconds,
        batch_ms=sum(waits) / len(waits) * 1e3,
        longest_ms=max(waits) * 1e3,
        batches=len(waits),
        anonymous_mb=anonymous_mb(),
    )


def _waits(
    batches: Iterator[Any], step: Callable[[], None], meal: Meal, most: int
) -> Iterator[float]:
    """Yield the seconds that each batch was waited for: at least one, and at most `most`."""
    end = time.perf_counter() + meal.seconds
    for _ in range(max(1, most)):
        step()
        begin = time.perf_counter()
        next(batches)
        now = time.perf_counter()
        yield now - begin
        if now >= end:
            return


def _make_step(meal: Meal) -> Callable[[], None]:
    """Return what takes as long as a trainer of the rate would take for a batch."""
    if meal.rate is None:
        return lambda: None
    seconds = meal.rows / meal.rate
    if not meal.busy:
        return lambda: time.sleep(seconds)
    square = torch.randn(BUSY_SIDE, BUSY_SIDE)

    def multiply() -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            torch.mm(square, square)

    return multiply
