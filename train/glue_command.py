"""The command that fine-tunes: parse, call one function, print."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pipeline.completion import complete_tasks
from pipeline.console import next_command
from pipeline.flags import PATH, build, configured_by, data_option, from_option, given
from train.config import Device
from train.glue.config import GlueConfig, GlueExecution

if TYPE_CHECKING:
    from train.glue.training import Console

ONLY_GLUE = (
    *("tasks", "source_path", "data", "seeds", "baseline", "from_task", "resume"),
    "write_submission",
)
"""Options that mean nothing for a task of one's own."""


@click.command()
@click.argument("run", type=PATH)
@click.option(
    "--tasks",
    default="all",
    show_default=True,
    shell_complete=complete_tasks,
    help="of GLUE, such as cola,mrpc",
)
@click.option("--task", "own", type=PATH, help="fine-tune on the task in this folder instead")
@from_option
@data_option
@click.option(
    "--out", type=PATH, help="folder to write  [default: RUN/glue, for --task RUN/tasks/NAME]"
)
@configured_by(GlueConfig)
@configured_by(GlueExecution, leave_out=["device"])
@click.option(
    "--device",
    type=click.Choice(get_args(Device)),
    default="auto",
    show_default=True,
    help="where to compute",
)
@click.option("--resume", is_flag=True, help="go on with the results in --out, if there are any")
@click.option("--write-submission", is_flag=True, help="answer the leaderboard's test files too")
@click.option("--quiet", is_flag=True, help="show no progress")
def glue(
    run: Path,
    own: Path | None,
    out: Path | None,
    quiet: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Fine-tune RUN on GLUE tasks, beside an untrained twin.

    RUN is a run's folder, or an encoder's as `transformers` writes it (ELECTRA, ALBERT, BERT,
    Nystromformer). Results are written after each training; --resume goes on after them.

    With --task it is plain fine-tuning: the folder holds task.txt (classification, pair
    classification, multi-label, token tagging or regression), train and dev (.tsv or .jsonl), and
    --out becomes a model with its head, as `transformers` loads it.
    """
    config = build(GlueConfig, {one.name: options.pop(one.name) for one in fields(GlueConfig)})
    how = {one.name: options.pop(one.name) for one in fields(GlueExecution)}
    execution = build(GlueExecution, how)
    if own is None:
        _run_glue(run, out or run / "glue", config, execution, quiet, **options)
    else:
        _run_own(run, own, out or run / "tasks" / own.resolve().name, config, execution, quiet)


def _run_glue(
    run: Path,
    out: Path,
    config: GlueConfig,
    execution: GlueExecution,
    quiet: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    from pipeline.tasks import choose_tasks
    from train.glue.run import Output, run_glue
    from train.glue.table import table
    from train.runs import RUN_FILE

    names = build(choose_tasks, {"names": options["tasks"].split(",")})
    output = Output(
        folder=out, resume=options["resume"], with_submission=options["write_submission"]
    )
    with _resumable(out):
        results = run_glue(
            run,
            tasks=names,
            source_path=options["source_path"],
            data=options["data"],
            output=output,
            config=config,
            execution=execution,
            console=_console(quiet),
        )
    click.echo(table(results))
    click.echo(f"all of it: {out / 'results.md'}")
    is_trained = (run / RUN_FILE).is_file()
    next_command(*(("report", run) if is_trained else ("glue", run, "--task", "FOLDER")))


def _run_own(
    run: Path, own: Path, out: Path, config: GlueConfig, execution: GlueExecution, quiet: bool
) -> None:
    from train.glue.own import run_own

    for name in ONLY_GLUE:
        if given(name):
            flag = "--from" if name == "source_path" else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} is for GLUE, not for --task: leave it out")
    console = _console(quiet)
    results = run_own(run, own, out=out, config=config, execution=execution, console=console)
    click.echo(results)
    click.echo(f"{results.architecture} -> {out}")
    next_command("glue", run)


def _console(quiet: bool) -> "Console":
    from tqdm import tqdm

    from train.glue.training import Console

    return Console((lambda _: None) if quiet else tqdm.write, quiet)


@contextmanager
def _resumable(out: Path) -> Iterator[None]:
    """Within `with`, Ctrl-C is an error that tells how to go on.

    Raises:
        DataError: It came after the first training.
    """
    from shards.errors import DataError
    from train.glue.results import RESULTS_FILE

    try:
        yield
    except KeyboardInterrupt:
        if not (out / RESULTS_FILE).is_file():
            raise
        remedy = "run the command again with --resume"
        raise DataError(f"interrupted; what is done is in {out}", remedy) from None
