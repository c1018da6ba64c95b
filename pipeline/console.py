"""What every command prints alike."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

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
    click.echo(f"next: python cli.py {shlex.join(map(str, words))}")


def in_colour() -> bool:
    """Return whether a person reads the output, and wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
