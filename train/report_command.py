"""The command that reports on runs: parse, call one function, print."""

from pathlib import Path

import click

from pipeline.console import next_command
from pipeline.flags import PATH, quiet_option


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--out", type=PATH, help="folder to write  [default: the run's; of several runs, report]"
)
@quiet_option
def report(runs: tuple[Path, ...], out: Path | None) -> None:
    """Show curves, data, samples and scores of runs, on one page.

    Writes report.html, a page that needs nothing else, and curves.png; prints the last numbers.
    """
    from train.list_runs import look_at, next_step
    from train.report.write import write_report

    made = write_report(runs, out)
    click.echo(made.table)
    for note in made.notes:
        click.echo(note)
    if made.picture is not None:
        click.echo(f"curves: {made.picture}")
    click.echo(f"report: {made.page}")
    next_command(*next_step(look_at(runs[0]), is_reported=True))
