"""Runs in, a page, a picture and a table out."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pipeline.tables import in_time
from shards.files import write_text
from train.report.curves import is_number
from train.report.page import page
from train.report.picture import draw_picture
from train.report.runs import ReportedRun, read_runs

PAGE_FILE, PICTURE_FILE = "report.html", "curves.png"
SEVERAL = Path("report")
"""Where a report of several runs goes, if nobody says otherwise."""


class Report(NamedTuple):
    """What was made.

    Attributes:
        page: The HTML file.
        picture: The PNG; None: it could not be drawn.
        table: The last numbers of each run.
        notes: What could not be done, and how to mend that.
    """

    page: Path
    picture: Path | None
    table: str
    notes: tuple[str, ...]


def write_report(folders: Sequence[Path], out: Path | None = None) -> Report:
    """Write a report on runs.

    Args:
        folders: Of the runs.
        out: Folder for the page and the picture; None: that of the run, or `SEVERAL`.

    Raises:
        DataError: One is no run, has no step yet, or is given twice.
    """
    runs = read_runs(folders)
    out = out or (folders[0] if len(runs) == 1 else SEVERAL)
    out.mkdir(parents=True, exist_ok=True)
    problem = draw_picture(runs, out / PICTURE_FILE)
    notes = () if problem is None else (problem,)
    write_text(out / PAGE_FILE, page(runs, notes))
    picture = out / PICTURE_FILE if problem is None else None
    tables = [describe(run, is_named=len(runs) > 1) for run in runs]
    return Report(out / PAGE_FILE, picture, "\n\n".join(tables), notes)


def describe(reported: ReportedRun, *, is_named: bool) -> str:
    """Return a run's last numbers: training over the last steps, held out at the last time."""
    config, curves = reported.run.config, reported.curves
    last = curves.recent[-1]
    of = f" of {config.steps}" if config.hours is None else f" in {in_time(3600 * config.hours)}"
    rows = [
        f"step {last['step']}{of}, {last.get('seconds', 0) / 60:.1f} minutes of training",
        f"{_mean(reported, 'tokens_per_second'):,.0f} tokens per second in the last steps, "
        f"{100 * _mean(reported, 'data_wait'):.1f} % of the time waiting for data",
        f"{'':34}{'training':>10}{'held out':>10}",
    ]
    held_out = curves.last_scored.scores if curves.last_scored is not None else {}
    for name in (one for one in last if one.endswith(("_loss", "_accuracy"))):
        scored = f"{held_out[name]:10.4f}" if name in held_out else f"{'-':>10}"
        rows.append(f"{name.replace('_', ' '):34}{_mean(reported, name):10.4f}{scored}")
    return "\n".join([*([reported.name] if is_named else []), *rows])


def _mean(reported: ReportedRun, name: str) -> float:
    """Return the mean of a number over the last steps that have it; 0 where none has."""
    found = [line[name] for line in reported.curves.recent if is_number(line.get(name))]
    return fmean(found) if found else 0.0
