"""The commands that look at runs and at this machine: parse, call one function, print."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.console import in_colour, next_command, show_json
from pipeline.flags import PATH, folder, json_option

if TYPE_CHECKING:
    from train.list_runs import ListedRun


@click.command()
@click.argument("folder", type=PATH, default=Path("runs"))
@json_option
def runs(folder: Path, as_document: bool) -> None:
    """List the runs in FOLDER: state, step, loss, GLUE, size.

    FOLDER is runs/ unless it is given; the newest come first.
    """
    from train.list_runs import list_runs, next_step
    from train.list_runs_text import runs_text

    found, others = list_runs(folder)
    if as_document:
        show_json({"runs": list(map(_as_json, found)), "others": [one._asdict() for one in others]})
        return
    named = [one._replace(problem=_on_one_line(one.problem)) for one in others]
    click.echo(runs_text(list(map(_as_shown, found)), named))
    newest = next((run for run in found if run.folder.isprintable()), None)  # it can be typed
    next_command(*(next_step(newest) if newest else ("pretrain", "--preset", "tiny")))


def _as_shown(run: "ListedRun") -> "ListedRun":
    """Return a run whose words leave the terminal as it is."""
    folder, preset = _on_one_line(run.folder), _on_one_line(run.preset)
    return replace(
        run, folder=folder, preset=preset, problems=tuple(map(_on_one_line, run.problems))
    )


def _on_one_line(words: str) -> str:
    """Return words with what is not printable, such as a line's end or ESC, as Python writes it."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in words)


def _as_json(run: "ListedRun") -> dict[str, Any]:
    changed = datetime.fromtimestamp(run.changed, UTC).isoformat(timespec="seconds")
    return {"name": Path(run.folder).name, **asdict(run), "changed": changed}


@click.command()
@folder("--data", "data", "folder of text and shards, whose disk is looked at")
@folder("--runs", "runs", "folder of runs, whose disk is looked at")
@json_option
def doctor(data: Path, runs: Path, as_document: bool) -> None:
    """Tell what this machine has, and what to install for what.

    Ends with 1 only if one of the five stages (fetch, tokenize, pack, pretrain, glue) lacks
    something. It runs where packages are missing or broken, and names the command that mends it.
    """
    from train.doctor import examine
    from train.doctor_text import doctor_text

    if not as_document:
        click.echo("importing every package, which takes a while ...", err=True)
    found = examine({"data": data, "runs": runs})
    if as_document:
        show_json({**asdict(found), "is_ready": not found.faults})
    else:
        click.echo(doctor_text(found, in_colour=in_colour()))
    if found.faults:
        raise click.ClickException("; ".join(found.faults))
    if not as_document:
        next_command("fetch", "docstrings")
