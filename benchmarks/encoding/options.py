"""What a person can choose in the benchmarks of encoding."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.encoding.kinds import KINDS
from pipeline.encode import MEMORY
from pipeline.flags import Size

Command = Callable[..., None]


def text_options(limit: int) -> Callable[[Command], Command]:
    """Add --text, --source, --type, --limit (with this default), --vocab and --memory."""
    downloads = os.environ.get("HEARTH_DATA", "data")
    options = [
        click.option(
            "--text",
            type=click.Path(path_type=Path),
            default=Path("data/text"),
            show_default=True,
            help="folder of sources that `fetch` wrote",
        ),
        click.option(
            "--source", "sources", multiple=True, help="only this one of them  [default: all]"
        ),
        click.option(
            "--type", "kinds", multiple=True, type=click.Choice(KINDS), help="[default: all]"
        ),
        click.option("--limit", default=limit, show_default=True, help="MB of text"),
        click.option(
            "--vocab",
            type=click.Path(path_type=Path),
            default=Path(downloads) / "vocab",
            help="published vocabularies  [default: vocab in $HEARTH_DATA, else data/vocab]",
        ),
        click.option(
            "--memory", type=Size(), default=f"{MEMORY}B", help="of a worker  [default: 1GB]"
        ),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
