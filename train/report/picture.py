"""The same curves as a PNG, where matplotlib is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shards.files import write_atomically
from train.report.chart import Chart
from train.report.panels import LEARNING, MACHINE, charts
from train.report.runs import ReportedRun

NO_MATPLOTLIB = "no curves.png: matplotlib is not installed (pip install -e '.[watch]')"
SPEED = tuple(panel for panel in MACHINE if panel.column in ("learning_rate", "tokens_per_second"))
PALE = 0.25


def draw_picture(runs: Sequence[ReportedRun], path: Path) -> str | None:
    """Write the picture; return why not, if it cannot be drawn."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return NO_MATPLOTLIB
    mpl.use("agg")
    from matplotlib import pyplot

    shown = charts(runs, (*LEARNING, *SPEED))
    rows = -(-len(shown) // 2)
    figure, axes = pyplot.subplots(
        rows, 2, figsize=(11, 3.2 * rows), layout="constrained", squeeze=False
    )
    figure.suptitle(", ".join(run.name for run in runs).replace("$", r"\$"))
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    for axis, chart in zip(axes.flat, shown, strict=False):
        _draw(axis, chart, is_alone=len(runs) == 1)
    with write_atomically(path) as file:
        figure.savefig(file, dpi=110, format="png")
    pyplot.close(figure)
    return None


def _draw(axis: Any, chart: Chart, *, is_alone: bool) -> None:  # noqa: ANN401
    factor = 100 if chart.percent else 1
    for trace in chart.lines:
        colour = f"C{trace.colour % 10}"
        if len(trace.low):
            low, high = (factor * np.asarray(one) for one in (trace.low, trace.high))
            axis.fill_between(trace.x, low, high, color=colour, alpha=PALE, linewidth=0.8)
        axis.plot(trace.x, [factor * y for y in trace.y], color=colour, label=_label(trace.name))
    for trace in chart.points:
        colour = "tab:orange" if is_alone else f"C{trace.colour % 10}"
        heights = [factor * y for y in trace.y]
        axis.plot(trace.x, heights, "o", color=colour, label=_label(trace.name))
    for trace in chart.guesses:
        colour = "grey" if trace.colour < 0 else f"C{trace.colour % 10}"
        borders = [1, *trace.x[1:], max(2, chart.steps)]  # the last value holds to the end
        heights = [factor * y for y in (*trace.y, trace.y[-1])]
        name = _label(trace.name)
        axis.step(borders, heights, color=colour, linestyle=":", where="post", label=name)
    if chart.is_log:
        axis.set_yscale("log")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8)
    axis.set(title=f"{chart.title}{', %' if chart.percent else ''}", xlabel="step")
    axis.grid(alpha=0.3)


def _label(name: str) -> str | None:
    """Return a name that matplotlib shows as it is: it would hide "_a", and read "$a$" as TeX."""
    return name.replace("$", r"\$").lstrip("_") or None
