"""The page's first part: what each run is, how far it is, what it has learned and cost."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tables import in_time, in_units
from shards.errors import DataError
from train.glue.results import RESULTS_FILE, GlueResults, read_results
from train.glue.table import average, medians, percent
from train.report.markup import box, escape, paragraph, section, table, tag
from train.report.runs import NONE, ReportedRun
from train.summary import summary

if TYPE_CHECKING:
    from train.report.cost import Cost


def overview(runs: Sequence[ReportedRun], notes: Sequence[str]) -> str:
    """Return the section, with what could not be shown elsewhere."""
    from train.report.cost import cost_of  # brings torch

    columns = [_facts(run, cost_of(run)) for run in runs]
    names = dict.fromkeys(name for column in columns for name in column)
    lines = [(name, *(column.get(name, NONE) for column in columns)) for name in names]
    head = ("", *(run.name for run in runs))
    words = "".join(_in_words(run, len(runs) > 1) for run in runs)
    remarks = "".join(paragraph(note, "note") for note in notes)
    return section("overview", "Overview", words + table(head, lines) + remarks)


def _facts(reported: ReportedRun, cost: "Cost") -> dict[str, str]:
    run, curves = reported.run, reported.curves
    seconds = curves.recent[-1].get("seconds", 0.0)
    facts = {
        "state": _state(reported),
        "preset": run.config.preset,
        "begun from": Path(run.init_from).name if run.init_from else "random weights",
        "time of training": in_time(seconds),
    }
    if cost.parameters is not None:
        parts = {name: count for name, count in cost.parameters.items() if name != "network"}
        total = parts.pop("total")
        facts |= {f"parameters, {name}": f"{count:,}" for name, count in parts.items()}
        facts["parameters"] = f"{total:,}"
    facts["rows read"] = f"{cost.rows:,}"
    facts["real tokens read, about"] = NONE if cost.tokens is None else f"{cost.tokens:,}"
    for name, value in (("in a step", cost.step_flops), ("in all", cost.flops)):
        facts[f"operations {name}, about"] = NONE if value is None else _power(value)
    memory = curves.training.get("peak_memory")  # a resumed run counts anew
    facts["most memory"] = NONE if memory is None else in_units(memory.highs.max())
    if curves.skipped:
        facts["updates skipped by the loss scaler"] = f"{curves.skipped:,}"
    if curves.missing:
        facts["steps without a line in the metrics"] = f"{curves.missing:,}"
    return facts | {"GLUE, average of eight": _glue(run.folder)}


def _state(reported: ReportedRun) -> str:
    config, step = reported.run.config, reported.curves.last_step
    done = f"step {step:,}"
    if config.hours is None:
        done += f" of {config.steps:,}"
    else:
        done += f", {in_time(3600 * config.hours)} planned"
    return f"done, {done}" if reported.is_done else f"not done, {done}"


def _power(value: float) -> str:
    """Return a large number as 1.23e15."""
    exponent = math.floor(math.log10(value)) if value > 0 else 0
    return f"{value / 10**exponent:.2f}e{exponent}"


def read_glue(folder: Path) -> GlueResults | None:
    """Return the run's GLUE results; None: there are none.

    Raises:
        DataError: They cannot be read.
    """
    path = folder / "glue" / RESULTS_FILE
    return read_results(path) if path.is_file() else None


def _glue(folder: Path) -> str:
    try:
        results = read_glue(folder)
    except DataError:  # the section on GLUE says why
        return "cannot be read"
    if results is None:
        return NONE
    mean = average(medians(results, "pretrained"))
    return "not all eight" if mean is None else percent(mean, 2)


def _in_words(reported: ReportedRun, is_named: bool) -> str:
    """Return the last scores on held-out rows beside guessing."""
    last = reported.curves.last_scored
    title = tag("h3", escape(reported.name)) if is_named else ""
    if last is None:
        return title + paragraph("Nothing was evaluated on held-out rows yet.", "note")
    guessing = reported.guessing.get(last.max_length or 0)
    if guessing is None:
        text = "What guessing by frequency costs is not known: the shards are no longer there."
        return title + paragraph(text, "note")
    lines = summary(last.scores, guessing.loss, last.max_length or 0)
    return title + box(tag("pre", escape("\n".join([f"after step {last.step:,}", *lines]))))
