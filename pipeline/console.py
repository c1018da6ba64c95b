"""What every command prints alike."""

import json
import math
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.stage import Outcome


def show(outcome: "Outcome") -> None:
    """Print what a stage made, or that it was made before."""
    from pipeline.balance import describe

    if outcome.was_finished:
        click.echo("already done")
    click.echo(describe(outcome.manifest))


def next_command(*words: str | Path) -> None:
    """Print the command to run next, as the last line."""
    click.echo(as_typed(f"next: python cli.py {shlex.join(map(str, words))}"))


def as_typed(text: str) -> str:
    """Return a text with the commands in it as a person calls us: `hearth`, where it is installed.

    So does a person who is not in this folder, where there is no cli.py.
    """
    return text.replace("python cli.py", "hearth") if Path(sys.argv[0]).stem == "hearth" else text


def show_json(document: object, indent: int | None = 1) -> None:
    """Print JSON for a program to read: it is all that standard output has.

    Args:
        document: What is no finite number in it becomes null, for JSON has no word for it.
        indent: None = all in a line.
    """
    click.echo(json.dumps(_plain(document), indent=indent, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def in_colour() -> bool:
    """Return whether a person reads the output, and wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
