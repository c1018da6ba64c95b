"""A metrics file as curves of bounded size, read once from its start to its end.

However many steps there are, a curve keeps a few hundred buckets of equally many steps, each with
the mean, the lowest and the highest of its values: when there are too many, neighbours are joined.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.bar import bar
from train.metrics import Line, read_metrics

MOST_BUCKETS = 600
"""More are joined in pairs, so that a long curve has 300 to 600 of them."""
MOST_SCORED = 400
"""Evaluations kept; of more, every second is left out, again and again, but the last stays."""
RECENT_STEPS = 50
"""Steps whose mean the terminal shows."""
WINDOW_SHARE = 20
"""Smoothing is over one so manieth of the run."""
AT_THE_END = 6
"""Steps more for each that is missing behind: the end of a line through n points is as uncertain as
the mean of n / 4, so at the very end it takes 7 / 2 windows, and is as quiet as in the middle."""

SHOW_AFTER = 2.0
"""Seconds of reading after which a bar appears."""

Floats = NDArray[np.float64]


class Scored(NamedTuple):
    """An evaluation: its step, the tokens of its rows, and what was found."""

    step: int
    max_length: int | None
    scores: dict[str, float]


class Curve:
    """One number of every step, in at most `MOST_BUCKETS` buckets.

    Attributes:
        width: Steps in a bucket; 1: the curve is kept as it is.
    """

    def __init__(self) -> None:
        self.width = 1
        self._keys: list[tuple[int, int]] = []  # stretch, steps // width
        self._sums: list[list[float]] = []  # count, sum of steps, sum of values, lowest, highest

    def add(self, step: int, value: float, stretch: int = 0) -> None:
        """Add the value of a step, which is later than all before.

        Args:
            step: From 1.
            value: Its number.
            stretch: Rises by one where values may jump: no bucket holds steps of two stretches.
        """
        key = stretch, (step - 1) // self.width
        if self._keys and self._keys[-1] == key:
            _join(self._sums[-1], [1, step, value, value, value])
            return
        self._keys.append(key)
        self._sums.append([1, step, value, value, value])
        if len(self._keys) > MOST_BUCKETS + stretch:
            self._halve()

    def _halve(self) -> None:
        keys, sums = self._keys, self._sums
        self.width, self._keys, self._sums = 2 * self.width, [], []
        for (stretch, number), one in zip(keys, sums, strict=True):
            key = stretch, number // 2
            if self._keys and self._keys[-1] == key:
                _join(self._sums[-1], one)
            else:
                self._keys.append(key)
                self._sums.append(one)

    def __len__(self) -> int:
        """Return how many buckets there are."""
        return len(self._keys)

    @property
    def counts(self) -> Floats:
        """Return the values in each bucket."""
        return self._column(0)

    @property
    def steps(self) -> Floats:
        """Return the mean step of each bucket."""
        return self._column(1) / self.counts

    @property
    def means(self) -> Floats:
        """Return the mean of each bucket."""
        return self._column(2) / self.counts

    @property
    def lows(self) -> Floats:
        """Return the lowest value of each bucket."""
        return self._column(3)

    @property
    def highs(self) -> Floats:
        """Return the highest value of each bucket."""
        return self._column(4)

    @property
    def stretches(self) -> list[slice]:
        """Return the buckets of each stretch."""
        numbers = [stretch for stretch, _ in self._keys]
        first = [place for place, one in enumerate(numbers) if numbers[place - 1 : place] != [one]]
        return [slice(*ends) for ends in pairwise([*first, len(numbers)])]

    def _column(self, number: int) -> Floats:
        return np.array([one[number] for one in self._sums], np.float64)


def _join(into: list[float], other: list[float]) -> None:
    for number in range(3):
        into[number] += other[number]
    into[3], into[4] = min(into[3], other[3]), max(into[4], other[4])


def smooth(curve: Curve) -> Floats:
    """Return, for each bucket, the place at it of the straight line that fits those around it.

    They are a twentieth of the run, as many before it as behind it, so that this is the centred
    mean. Near the start, where a curve is steepest, there are fewer on either side; near the end
    there are fewer behind it and `AT_THE_END` more before it for each of those, or the last steps
    alone would turn the line. A straight line stays what it is: nothing lags. Each stretch is
    smoothed by itself, so that a jump between two stays one.
    """
    steps, means, counts = curve.steps, curve.means, curve.counts
    half = max(1, len(curve) // (2 * WINDOW_SHARE))
    smoothed = np.empty(len(curve))
    for stretch in curve.stretches:
        for place in range(stretch.start, stretch.stop):
            reach = min(place - stretch.start, half)
            behind = min(reach, stretch.stop - 1 - place)
            before = min(place - stretch.start, reach + AT_THE_END * (reach - behind))
            around = slice(place - before, place + behind + 1)
            smoothed[place] = _fit(steps[around] - steps[place], means[around], counts[around])
    return smoothed


def _fit(x: Floats, y: Floats, weights: Floats) -> float:
    """Return the place at x = 0 of the straight line of the least squares."""
    weights = weights / weights.sum()
    x_mean, y_mean = float(weights @ x), float(weights @ y)
    spread = float(weights @ (x - x_mean) ** 2)
    slope = float(weights @ ((x - x_mean) * y)) / spread if spread else 0.0
    return y_mean - slope * x_mean


@dataclass
class Curves:
    """What is kept of a metrics file.

    Attributes:
        training: A curve for every number of a step.
        scored: Evaluations, a choice of them where there are many.
        last_scored: The last of all.
        lengths: The tokens of a row, with the first step that had such rows, in order.
        recent: The last lines whole.
        count: Lines.
        skipped: Of these, updates that the loss scaler has skipped: they are in no curve.
        last_step: The last step of all.
    """

    training: dict[str, Curve] = field(default_factory=dict)
    scored: list[Scored] = field(default_factory=list)
    last_scored: Scored | None = None
    lengths: list[tuple[int, int]] = field(default_factory=list)
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))
    count: int = 0
    skipped: int = 0
    last_step: int = 0
    _every: int = 1
    _evaluations: int = 0

    @property
    def missing(self) -> int:
        """Return the steps that have no whole line."""
        return self.last_step - self.count

    def add(self, line: Line) -> None:
        """Take in the line of a step."""
        step = line["step"]
        self.count, self.last_step = self.count + 1, step
        if not is_number(line.get("loss")):
            self.skipped += 1
            return
        length = line.get("max_length")
        if isinstance(length, int) and (not self.lengths or self.lengths[-1][1] != length):
            self.lengths.append((step, length))
        stretch = max(0, len(self.lengths) - 1)
        for name, value in line.items():
            if name != "step" and is_number(value):
                self.training.setdefault(name, Curve()).add(step, value, stretch)
        self.recent.append(line)
        if isinstance(line.get("validation"), dict):
            scores = {name: one for name, one in line["validation"].items() if is_number(one)}
            self._add_scored(Scored(step, length, scores))

    def _add_scored(self, scored: Scored) -> None:
        self.last_scored = scored
        if self._evaluations % self._every == 0:
            self.scored.append(scored)
        self._evaluations += 1
        if len(self.scored) > MOST_SCORED:
            self.scored, self._every = self.scored[::2], 2 * self._every

    def points(self, name: str) -> tuple[list[int], list[float]]:
        """Return the steps and values of a number on held-out rows, the last one always."""
        scored = list(self.scored)
        if self.last_scored is not None and scored[-1].step != self.last_scored.step:
            scored.append(self.last_scored)
        found = [(one.step, one.scores[name]) for one in scored if name in one.scores]
        return [step for step, _ in found], [value for _, value in found]


def read_curves(path: Path) -> Curves:
    """Read a metrics file, its spoilt lines left out."""
    curves, size = Curves(), path.stat().st_size if path.is_file() else 0
    how = {"unit": "B", "unit_scale": True, "leave": False, "delay": SHOW_AFTER}
    with bar(total=size, desc=f"read {path.parent.name}", **how) as progress:
        for line in read_metrics(path, progress.update):
            curves.add(line)
    return curves


def is_number(value: object) -> bool:
    """Return whether a value of JSON is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
