"""The commands: parse, call one function, print what was made and what to run next.

Each command imports its own code when it runs, so that `--help` answers at once.
"""

import shlex
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pipeline.config import FetchConfig, PackConfig, TokenizeConfig, import_config
from pipeline.flags import (
    PATH,
    build,
    configured_by,
    data_option,
    folder,
    from_option,
    given,
    in_colour,
    memory_option,
    workers_option,
)
from pipeline.inspect_config import InspectConfig
from pipeline.sources import SOURCES
from train.config import Device, PretrainConfig, pretrain_config
from train.glue_config import GlueConfig

if TYPE_CHECKING:
    from pipeline.stage import Outcome


class Boundary(click.Group):
    """The one place where an error becomes a line: what is wrong, where, what to do."""

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401
        """Run a command; end with 1 on bad data, a failing disk or Ctrl-C, 2 on a bad option."""
        from pipeline.errors import DataError

        try:
            return super().invoke(context)
        except DataError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise  # Click ends in silence: the reader, `head` say, has had enough
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            reason = f"{where}{error.strerror or error}"
            raise click.ClickException(f"{reason}: mend that and run the command again") from error
        except KeyboardInterrupt:
            raise click.ClickException(
                "interrupted; nothing half-written is left: run the command again"
            ) from None


def show(outcome: "Outcome") -> None:
    """Print what a stage made, or that it was made before."""
    from pipeline.balance import describe

    if outcome.was_finished:
        click.echo("already done")
    click.echo(describe(outcome.manifest))


def next_command(*words: str | Path) -> None:
    """Print the command to run next, as the last line."""
    click.echo(f"next: python cli.py {shlex.join(map(str, words))}")


SENTENCE = "Paris is the [MASK] of France."
device_option = click.option(
    "--device",
    type=click.Choice(get_args(Device)),
    default="auto",
    show_default=True,
    help="where to compute",
)


@click.group(cls=Boundary, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hearth")
def main() -> None:
    """Pretrain a transformer at home: fetch, tokenize, pack, pretrain, glue, in this order."""


@main.command()
@click.argument("sources", nargs=-1, required=True, type=click.Choice(list(SOURCES)))
@from_option
@data_option
@configured_by(FetchConfig)
@click.option("--base-url", help="a mirror of your own: a folder or server of HOST/PATH")
@click.option("--offline", is_flag=True, help="use what is here; never the network")
@click.option("--drop-raw", is_flag=True, help="remove each download once its parts are written")
@workers_option
def fetch(sources: tuple[str, ...], data: Path, **options: Any) -> None:  # noqa: ANN401
    """Download each SOURCE and make clean documents of it, as Parquet under data/text/SOURCE."""
    from pipeline.fetch import fetch as fetch_sources
    from pipeline.fetch_call import Fetch

    reading = {field.name: options.pop(field.name) for field in fields(FetchConfig)}
    call = {
        "sources": tuple(dict.fromkeys(sources)),
        "data": data,
        "config": build(FetchConfig, reading),
        "warn": lambda line: click.echo(f"warning: {line}", err=True),
        **options,
    }
    for source, outcome in fetch_sources(build(Fetch, call)):
        if len(sources) > 1:
            click.echo(f"{source}:")
        show(outcome)
    if any(source not in ("glue", "vocab") for source in sources):
        next_command("tokenize", "--text", data / "text", "--out", data / "tokenizer")
    elif "glue" in sources:
        next_command("glue", "RUN", "--data", data)


@main.command()
@folder("--text", "data/text", "folder that fetch filled")
@folder("--out", "data/tokenizer", "folder to write")
@click.option(
    "--import",
    "vocabulary",
    metavar="PATH",
    help="train nothing: take over a vocab.txt, tokenizer.json, spiece.model or vocab.json, "
    "and with --text report on it",
)
@configured_by(TokenizeConfig)
def tokenize(text: Path, out: Path, vocabulary: str | None, **options: Any) -> None:  # noqa: ANN401
    """Train a tokenizer on the text; it loads in `tokenizers` and in `transformers`."""
    from pipeline.tokenizer import import_tokenizer, train_tokenizer

    if vocabulary is None:
        show(train_tokenizer(text, out, build(TokenizeConfig, options)))
    elif not vocabulary:  # as a path it would be the working folder
        raise click.UsageError("--import is empty: give the path of a vocabulary")
    else:
        config = build(import_config, options)
        reported = text if given("text") else None
        show(import_tokenizer(Path(vocabulary), reported, out, config))
    next_command("pack", "--text", text, "--tokenizer", out, "--out", out.parent / "shards")


@main.command()
@folder("--text", "data/text", "folder that fetch filled")
@folder("--tokenizer", "data/tokenizer", "folder that tokenize wrote")
@folder("--out", "data/shards", "folder to write")
@configured_by(PackConfig)
@workers_option
@memory_option
@click.option("--dry-run", is_flag=True, help="only forecast rows, bytes and time from a sample")
def pack(text: Path, tokenizer: Path, out: Path, dry_run: bool, **options: Any) -> None:  # noqa: ANN401
    """Pack documents into rows of tokens, their masks drawn already, as Arrow shards."""
    from pipeline.dry_run import describe_forecast, forecast
    from pipeline.pack import pack as pack_text

    limits = (options.pop("workers"), options.pop("memory"))
    call = (text, tokenizer, out, build(PackConfig, options), *limits)
    if dry_run:
        click.echo(describe_forecast(forecast(*call)))
    else:
        show(pack_text(*call))
        next_command("pretrain", "--shards", out)


@main.command()
@folder("--shards", "data/shards", "folder that pack wrote")
@click.option("--out", type=PATH, help="the run's folder  [default: runs/PRESET-DATE_TIME]")
@configured_by(PretrainConfig)
@device_option
@click.option("--resume", is_flag=True, help="go on with the run in --out")
def pretrain(shards: Path, out: Path | None, device: str, resume: bool, **options: Any) -> None:  # noqa: ANN401
    """Train ELECTRA with sentence-order prediction, and export it."""
    from train.pretrain import resume_run, start_run

    config = build(pretrain_config, options)
    if resume:
        if out is None:
            raise click.UsageError("--resume needs --out: the folder of the run to go on with")
        chosen = {name: getattr(config, name) for name in options if given(name)}
        resume_run(out, chosen, shards if given("shards") else None, device, click.echo)
    else:
        out = out or Path("runs") / f"{config.preset}-{datetime.now():%Y%m%d_%H%M%S}"
        start_run(shards, out, config, device, click.echo)
    next_command("report", out)


@main.command()
@click.argument("run", type=PATH)
@click.option("--tasks", default="all", show_default=True, help="such as cola,mrpc")
@from_option
@data_option
@click.option("--out", type=PATH, help="folder to write  [default: RUN/glue]")
@configured_by(GlueConfig)
@device_option
def glue(
    run: Path,
    tasks: str,
    source_path: Path | None,
    data: Path,
    out: Path | None,
    device: str,
    **options: Any,  # noqa: ANN401
) -> None:
    """Fine-tune RUN on GLUE tasks, beside a random twin and the majority class."""
    from pipeline.tasks import choose_tasks
    from train.glue import run_glue

    config = build(GlueConfig, options)
    names = build(choose_tasks, {"names": tasks.split(",")})
    results = run_glue(
        run,
        tasks=names,
        source_path=source_path,
        data=data,
        out=out or run / "glue",
        config=config,
        device=device,
    )
    click.echo(results)
    next_command("fill", run, SENTENCE)


@main.command()
@click.argument("shards", type=PATH)
def verify(shards: Path) -> None:
    """Check every file, hash and row of SHARDS against the format."""
    from pipeline.inspect import verify as problems

    found = 0
    for problem in problems(shards):
        click.echo(problem)
        found += 1
    if found:
        remedy = f"delete {shards} and run `python cli.py pack --out {shards}`"
        raise click.ClickException(f"{found} problems in {shards}: {remedy}")
    click.echo(f"{shards} is intact")
    next_command("pretrain", "--shards", shards)


@main.command()
@click.argument("shards", type=PATH)
@configured_by(InspectConfig)
@click.option("--plot", type=PATH, help="draw lengths, masks and segments as this PNG")
def inspect(shards: Path, plot: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Show the balance sheet of SHARDS, and rows as text with their masks."""
    from pipeline.inspect import inspect_shards

    config = build(InspectConfig, options)
    click.echo("\n".join(inspect_shards(shards, config, in_colour=in_colour())))
    if plot:
        from pipeline.histograms import draw_histograms

        click.echo(f"histograms: {draw_histograms(shards, config, plot)}")
    next_command("pretrain", "--shards", shards)


@main.command()
@click.argument("run", type=PATH)
@click.argument("text")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="fillings each")
def fill(run: Path, text: str, top: int) -> None:
    """Fill each [MASK] of TEXT with the likeliest words."""
    from train.fill import fill as fill_text

    for filling in fill_text(run, text, top):
        pairs = zip(filling.tokens, filling.probabilities, strict=True)
        click.echo("  ".join(f"{token} {share:.3f}" for token, share in pairs))
    next_command("glue", run)


@main.command()
@click.argument("run", type=PATH)
@click.option("--out", type=PATH, required=True, help="folder to write")
def export(run: Path, out: Path) -> None:
    """Write RUN's newest checkpoint as a folder that `transformers` loads."""
    from train.export import export_run

    click.echo(f"{export_run(run, out)} -> {out}")
    next_command("fill", out, SENTENCE)


@main.command()
@click.argument("run", type=PATH)
def report(run: Path) -> None:
    """Draw RUN's curves and print its last numbers."""
    from train.report import report as draw

    picture, table = draw(run)
    click.echo(table)
    click.echo(f"curves: {picture}")
    next_command("fill", run, SENTENCE)


if __name__ == "__main__":
    main()
