"""The page: one file of HTML that needs nothing else, no network and no scripts."""

from collections.abc import Sequence

from train.report.chart import draw
from train.report.configuration import configuration
from train.report.data import data
from train.report.glue import glue
from train.report.guesses import samples
from train.report.markup import escape, paragraph, section, tag
from train.report.overview import overview
from train.report.panels import LEARNING, MACHINE, Panel, charts
from train.report.runs import ReportedRun
from train.report.style import STYLE

TITLES = {
    "overview": "Overview",
    "learning": "Learning",
    "machine": "Machine",
    "samples": "Samples",
    "glue": "GLUE",
    "data": "Data",
    "configuration": "Configuration",
}
SMOOTHING = (
    "Lines are smoothed: a point is that of the straight line which fits the steps around it best, "
    "a twentieth of the run, as many before it as behind it where there are (a centred mean), and "
    "fewer near the start; near the end more before it, as there are none behind. So no line lags. "
    "Where rows of another length begin, smoothing begins anew, and a line may jump."
)
ALONE = (
    "Behind them, pale, are single steps, or where there are many the lowest and highest of a few. "
    "What few of them lie beyond the frame is cut off. Dots are held-out rows."
)
TOGETHER = "Dots are held-out rows. Each run has its colour; dotted lines are guessing."


def page(runs: Sequence[ReportedRun], notes: Sequence[str] = ()) -> str:
    """Return the page on some runs.

    Args:
        runs: At least one.
        notes: What could not be done, for the reader to know.
    """
    names = ", ".join(run.name for run in runs)
    how = paragraph(f"{SMOOTHING} {ALONE if len(runs) == 1 else TOGETHER}", "note")
    parts = {
        "overview": overview(runs, notes),
        "learning": _charts(runs, "learning", LEARNING, how),
        "machine": _charts(runs, "machine", MACHINE, ""),
        "samples": samples(runs),
        "glue": glue(runs),
        "data": data(runs),
        "configuration": configuration(runs),
    }
    links = [tag("a", TITLES[name], href=f"#{name}") for name, content in parts.items() if content]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", escape(f"Hearth: {names}")),
        f"<style>{STYLE}</style>",
    ]
    body = [
        tag("h1", escape(names)),
        tag("nav", "".join(links)),
        tag("main", "\n".join(content for content in parts.values() if content)),
    ]
    whole = tag("head", "\n".join(head)) + "\n" + tag("body", "\n".join(body))
    return f"<!DOCTYPE html>\n{tag('html', whole, lang='en')}\n"


def _charts(runs: Sequence[ReportedRun], name: str, panels: Sequence[Panel], how: str) -> str:
    drawn = "".join(draw(chart) for chart in charts(runs, panels))
    content = tag("div", drawn, class_="charts") + how
    return section(name, TITLES[name], content if drawn else "")
