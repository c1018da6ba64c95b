"""A table of runs."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.tables import align, in_time, in_units, number_of
from train.list_runs import ListedRun, Other

TITLES = (
    *("run", "preset", "state", "step", "loss", "held out", "tokens/s"),
    *("GLUE", "parameters", "size", "last change"),
)


def runs_text(runs: Sequence[ListedRun], others: Sequence[Other]) -> str:
    """Return what a person reads: a line for each run, then one for each thing amiss."""
    lines = align(_to_the_left([TITLES, *map(_cells, runs)])) if runs else ["no runs"]
    lines += [f"not listed: {one.problem}" for one in others]
    for run in runs:
        lines += [f"amiss: {problem}" for problem in run.problems]
    return "\n".join(lines)


def _to_the_left(table: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Pad preset and state, which are words."""
    widths = [max(len(line[column]) for line in table) for column in (1, 2)]
    return [
        (run, preset.ljust(widths[0]), state.ljust(widths[1]), *numbers)
        for run, preset, state, *numbers in table
    ]


def _cells(run: ListedRun) -> tuple[str, ...]:
    speed = run.tokens_per_second
    return (
        run.folder,
        run.preset,
        run.state,
        _progress(run),
        _number(run.loss),
        _number(run.held_out_loss),
        _number(speed) if speed is None or speed >= 1e9 else f"{speed:,.0f}",
        _glue(run),
        "-" if run.parameters is None else f"{run.parameters:,}",
        in_units(run.bytes),
        f"{datetime.fromtimestamp(run.changed):%Y-%m-%d %H:%M}",
    )


def _progress(run: ListedRun) -> str:
    if run.step is None:
        return "-"
    if run.hours is None:
        return f"{run.step:,} of {run.steps:,}"
    return f"{run.step:,}, {in_time(run.seconds or 0)} of {in_time(3600 * run.hours)}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 1e6 else f"{value:.4g}"


def _glue(run: ListedRun) -> str:
    if run.glue is not None:
        return f"{100 * run.glue:.1f}"
    return number_of(run.glue_tasks, "task") if run.glue_tasks else "-"
