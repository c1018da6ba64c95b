"""Histograms as SVG: bars that stand, for numbers; bars that lie, for names."""

import math
from collections.abc import Mapping, Sequence

from train.report.chart import BOTTOM, LEFT, RIGHT, WIDTH, Axis, Trace, lines_across, style
from train.report.markup import escape, tag

HEIGHT = 276
GAP = 0.2
"""Of the room of a group of bars."""
LETTER, SPACE = 9.6, 10
"""Width of a digit of the widest font and style, and what parts labels."""
ROW = 26
"""Height of a bar that lies, with its gap."""
NAME, VALUE = 150, 62
"""Room for names and numbers beside such bars."""
NAME_LENGTH = 16
"""Letters that fit into it."""


def histogram(
    title: str, labels: Sequence[str], shares: Mapping[str, Sequence[float]], below: str
) -> str:
    """Return a figure of standing bars.

    Args:
        title: Above it.
        labels: Below the groups of bars; of many, only some are written.
        shares: By name, the share of each group; at least one is above 0.
        below: What the labels count.
    """
    top = max(max(values) for values in shares.values())
    y = Axis(0.0, top * 1.04, BOTTOM, 12)
    room = (RIGHT - LEFT) / len(labels)
    width = room * (1 - GAP) / len(shares)
    parts = [*lines_across(y, percent=True)]
    for number, (name, values) in enumerate(shares.items()):
        colour = style(Trace(name, number, (), ()))
        for group, value in enumerate(values):
            left = LEFT + room * (group + GAP / 2) + width * number
            parts.append(_bar(left, float(y.place(value)), width, BOTTOM, colour))
    widest = LETTER * max(map(len, labels)) + SPACE
    every = math.ceil(len(labels) / int((RIGHT - LEFT) / widest))
    for group in range(0, len(labels), every):
        place = round(LEFT + room * (group + 0.5), 1)
        parts.append(
            tag("text", escape(labels[group]), x=place, y=BOTTOM + 18, text_anchor="middle")
        )
    parts.append(tag("text", escape(below), x=RIGHT, y=BOTTOM + 36, text_anchor="end"))
    return _figure(title, "".join(parts), HEIGHT, list(shares))


def list_bars(title: str, values: Mapping[str, float], texts: Sequence[str]) -> str:
    """Return a figure of lying bars, each with its name and a text.

    Args:
        title: Above it.
        values: By name; at least one is above 0.
        texts: Behind the bars.
    """
    longest, room = max(values.values()), WIDTH - NAME - VALUE - 10
    parts = []
    for number, ((name, value), text) in enumerate(zip(values.items(), texts, strict=True)):
        middle = ROW * number + ROW / 2 + 4
        shown = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1].rstrip()}…"
        width = room * value / longest
        label = tag("title", escape(name)) + escape(shown)
        parts.append(tag("text", label, x=NAME - 8, y=middle, dy="0.35em", text_anchor="end"))
        parts.append(_bar(NAME, middle - ROW * 0.36, width, middle + ROW * 0.36, "c0"))
        parts.append(tag("text", escape(text), x=round(NAME + width + 6, 1), y=middle, dy="0.35em"))
    return _figure(title, "".join(parts), ROW * len(values) + 8, [])


def _bar(left: float, top: float, width: float, bottom: float, colour: str) -> str:
    return tag(
        "rect",
        x=f"{left:.1f}",
        y=f"{top:.1f}",
        width=f"{max(width, 0.5):.1f}",
        height=f"{max(bottom - top, 0):.1f}",
        class_=f"bar {colour}",
    )


def _figure(title: str, content: str, height: int, names: Sequence[str]) -> str:
    svg = tag("svg", content, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=title)
    entries = []
    for number, name in enumerate(names):
        colour = style(Trace(name, number, (), ()))
        sign = tag("rect", x=1, y=1, width=16, height=10, class_=f"bar {colour}")
        drawing = tag("svg", sign, viewBox="0 0 18 12", class_="sign", aria_hidden="true")
        entries.append(tag("li", drawing + escape(name)))
    legend = tag("ul", "".join(entries), class_="legend") if len(names) > 1 else ""
    return tag("figure", tag("figcaption", escape(title)) + svg + legend)
