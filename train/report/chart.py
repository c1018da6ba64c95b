"""Curves as SVG: axes, lines with their spread, points, lines of guessing, a legend.

A drawing has no size of its own: it is as wide as its place in the page, and its colours are those
of the page's style (`train.report.style`), so that light and dark need no second drawing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from train.report.curves import Floats
from train.report.markup import escape, tag

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 74, 456, 12, 236
"""The frame within the drawing, in its units: beside it is room for the widest labels."""
LABEL_LENGTH = 7
"""Characters that fit to the left of the frame on a phone, where they are largest."""
COLOURS = 8
"""Colours of the style; the next lines have them again, dashed."""
MARGIN = 0.04
"""Room above and below what is drawn, as a share of it."""
CONSTANT = 1e-9
"""Values that differ by less than this share of them are drawn as one."""
ABOUT = 6
"""Ticks of an axis."""
UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))
PERCENTILE = 2
"""Of the spread of single steps, so much on either side may lie outside the frame."""


@dataclass(frozen=True)
class Trace:
    """One curve of a run.

    Attributes:
        name: For the legend; an empty one is not in it.
        colour: The run's number; below 0: none.
        x: Steps.
        y: Values.
        low: The lowest values around each point of a line, if they are to be shown.
        high: The highest.
    """

    name: str
    colour: int
    x: Sequence[float] | Floats
    y: Sequence[float] | Floats
    low: Sequence[float] | Floats = ()
    high: Sequence[float] | Floats = ()


@dataclass(frozen=True)
class Chart:
    """A drawing.

    Attributes:
        title: Above it.
        steps: Where it ends; it begins with step 1.
        lines: Of training.
        points: On held-out rows.
        guesses: What guessing would give, from the first x of each value to the next one's.
        is_log: Whether heights are logarithms; what is not above 0 is then left out.
        percent: Whether values are shares, to be shown as percents.
    """

    title: str
    steps: int
    lines: list[Trace] = field(default_factory=list)
    points: list[Trace] = field(default_factory=list)
    guesses: list[Trace] = field(default_factory=list)
    is_log: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Axis:
    """Values to places between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, values: Sequence[float] | Floats | float) -> Floats:
        """Return where values lie, which need not be within the frame."""
        low, high, at = self.low, self.high, np.asarray(values, np.float64)
        if self.is_log:
            low, high, at = math.log10(low), math.log10(high), np.log10(at)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return a few round values on the axis."""
        return log_ticks(self.low, self.high) if self.is_log else round_ticks(self.low, self.high)


def round_ticks(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten from `low` to `high`, about 6 of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / ABOUT))
    found = []
    for step in (factor * power for factor in (1, 2, 5, 10)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        found.append([number * step for number in range(first, last + 1)])
    return min(found, key=lambda ticks: abs(len(ticks) - ABOUT))


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten, and where there are few of them, their doubles and fivefolds."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        inside = [tick for tick in found if low * 0.999 <= tick <= high * 1.001]
        if len(inside) >= 3:
            return inside[:: -(-len(inside) // 7)]
    return round_ticks(low, high)


def texts(ticks: Sequence[float]) -> list[str]:
    """Return ticks as text, with as many decimals as tell them apart: 1.5k, 20M, 0.003, 2e-7."""
    gaps = [other - one for one, other in pairwise(ticks)]
    return [_text(tick, min(gaps, default=math.inf)) for tick in ticks]


def _text(value: float, gap: float) -> str:
    if value == 0:
        return "0"
    size = abs(value)
    unit, scale = next((one for one in UNITS if size >= one[1] * 0.9999), UNITS[-1])
    finest = math.floor(math.log10(min(gap, size) / scale) + 1e-6)
    if finest < -5 and size < 1e-3:
        digits = math.floor(math.log10(size) + 1e-6) - finest
        number, _, power = f"{value:.{digits}e}".partition("e")
        unit = f"e{int(power)}"
    else:
        number = f"{value / scale:.{max(0, -finest)}f}"
    return (number.rstrip("0").rstrip(".") if "." in number else number) + unit


def draw(chart: Chart) -> str:
    """Return a figure: the title, the drawing, a legend."""
    x, y = axes_of(chart)
    shown = [_grid(x, y, chart.percent)]
    inside = [
        *(_band(trace, x, y) for trace in chart.lines if len(trace.low)),
        *(_guess(trace, x, y) for trace in chart.guesses),
        *(_line(trace, x, y) for trace in chart.lines),
        *(_points(trace, x, y) for trace in chart.points),
    ]
    svg = tag(
        "svg",
        "".join([*shown, *inside]),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=chart.title,
    )
    return tag("figure", tag("figcaption", escape(chart.title)) + svg + _legend(chart))


def axes_of(chart: Chart) -> tuple[Axis, Axis]:
    """Return the axes that hold a chart; there must be something in it."""
    heights: list[Floats] = []
    for trace in chart.lines:
        heights.append(np.asarray(trace.y, float))
        if len(trace.low):
            heights.append(np.percentile(np.asarray(trace.low, float), [PERCENTILE]))
            heights.append(np.percentile(np.asarray(trace.high, float), [100 - PERCENTILE]))
    heights += [np.asarray(one.y, float) for one in [*chart.points, *chart.guesses]]
    every = np.concatenate(heights)
    is_log = chart.is_log and bool((every > 0).any())
    low, high = _room(every[every > 0] if is_log else every, is_log)
    return Axis(1, max(2, chart.steps), LEFT, RIGHT), Axis(low, high, BOTTOM, TOP, is_log)


def _room(values: Floats, is_log: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if is_log:
        more = (high / low) ** MARGIN if high > low * (1 + CONSTANT) else 2.0
        return low / more, high * more
    is_constant = high - low <= CONSTANT * abs(high)
    more = (abs(high) * 0.1 if is_constant else (high - low) * MARGIN) or 1.0
    return (0.0 if low >= 0 > low - more else low - more), high + more


def _grid(x: Axis, y: Axis, percent: bool) -> str:
    parts = [*lines_across(y, percent=percent)]
    ticks = x.ticks()
    for tick, text in zip(ticks, texts(ticks), strict=True):
        place = _coordinate(float(x.place(tick)))
        parts.append(tag("path", d=f"M{place} {BOTTOM}v4", class_="grid"))
        parts.append(tag("text", text, x=place, y=BOTTOM + 18, text_anchor="middle"))
    parts.append(tag("path", d=f"M{LEFT} {BOTTOM}H{RIGHT}", class_="axis"))
    return "".join([*parts, tag("text", "step", x=LEFT - 12, y=BOTTOM + 18, text_anchor="end")])


def lines_across(y: Axis, *, percent: bool) -> Iterator[str]:
    """Yield a line for each tick of a standing axis, and its label."""
    ticks = y.ticks()
    for tick, text in zip(
        ticks, texts([100 * one if percent else one for one in ticks]), strict=True
    ):
        height = _coordinate(float(y.place(tick)))
        label = f"{text} %" if percent else text
        narrow = {"textLength": LEFT - 8, "lengthAdjust": "spacingAndGlyphs"}
        fits = {} if len(label) <= LABEL_LENGTH else narrow
        place = {"x": LEFT - 6, "y": height, "dy": "0.35em", "text_anchor": "end"}
        yield tag("path", d=f"M{LEFT} {height}H{RIGHT}", class_="grid")
        yield tag("text", label, **place, **fits)


def _visible(trace: Trace, y: Axis) -> tuple[Floats, Floats]:
    steps, values = np.asarray(trace.x, float), np.asarray(trace.y, float)
    keep = values > 0 if y.is_log else np.ones(len(values), bool)
    return steps[keep], values[keep]


def _line(trace: Trace, x: Axis, y: Axis) -> str:
    steps, values = _visible(trace, y)
    return tag("path", d=path(x.place(steps), y.place(values)), class_=f"line {style(trace)}")


def _band(trace: Trace, x: Axis, y: Axis) -> str:
    """Draw the spread of single steps, or where there is none the steps; cut off at the frame."""
    low, high = (np.clip(np.asarray(one, float), y.low, y.high) for one in (trace.low, trace.high))
    steps = x.place(trace.x)
    if np.array_equal(low, high):
        return tag("path", d=path(steps, y.place(low)), class_=f"raw {style(trace)}")
    round_trip = path(
        np.concatenate((steps, steps[::-1])), np.concatenate((y.place(high), y.place(low)[::-1]))
    )
    return tag("path", d=f"{round_trip}Z", class_=f"band {style(trace)}")


def _guess(trace: Trace, x: Axis, y: Axis) -> str:
    """Draw each value up to where the next begins; the first and the last reach the frame."""
    heights = np.repeat(y.place(trace.y), 2)
    borders = np.repeat(x.place(trace.x[1:]), 2) if len(trace.x) > 1 else np.empty(0)
    steps = np.concatenate(([LEFT], borders, [RIGHT]))
    return tag("path", d=path(steps, heights), class_=f"guess {style(trace)}")


def _points(trace: Trace, x: Axis, y: Axis) -> str:
    steps, values = _visible(trace, y)
    places = zip(x.place(steps).tolist(), y.place(values).tolist(), strict=True)
    dots = (
        tag("circle", cx=_coordinate(across), cy=_coordinate(up), r="3.4") for across, up in places
    )
    return tag("g", "".join(dots), class_=f"dot {style(trace)}")


def style(trace: Trace) -> str:
    """Return the classes of a run's colour; a number below 0 has none."""
    if trace.colour < 0:
        return "plain"
    again = " again" if trace.colour >= COLOURS else ""
    return f"c{trace.colour % COLOURS}{again}"


def path(x: Floats, y: Floats) -> str:
    """Return points as a path of straight lines, in tenths of a unit."""
    places = zip(x.tolist(), y.tolist(), strict=True)
    points = [f"{_coordinate(across)} {_coordinate(up)}" for across, up in places]
    return f"M{'L'.join(points)}" if points else "M0 0"


def _coordinate(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _legend(chart: Chart) -> str:
    kinds: list[tuple[Callable[[str], str], list[Trace]]] = [
        (lambda colour: tag("path", d="M0 6H18", class_=f"line {colour}"), chart.lines),
        (lambda colour: tag("g", DOT, class_=f"dot {colour}"), chart.points),
        (lambda colour: tag("path", d="M0 6H18", class_=f"guess {colour}"), chart.guesses),
    ]
    entries = [
        tag("li", _sign(sign(style(trace))) + escape(trace.name))
        for sign, traces in kinds
        for trace in traces
        if trace.name
    ]
    return tag("ul", "".join(entries), class_="legend")


def _sign(content: str) -> str:
    return tag("svg", content, viewBox="0 0 18 12", class_="sign", aria_hidden="true")


DOT = tag("circle", cx=9, cy=6, r="3.4")
