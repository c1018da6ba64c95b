"""The commands that make and show data: parse, call one function, print.

Each command imports its own code when it runs, so that `--help` answers at once.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from pipeline.config import FetchConfig, PackConfig, TokenizeConfig, import_config
from pipeline.console import in_colour, next_command, show
from pipeline.flags import (
    PATH,
    PICTURE,
    build,
    choose_crew,
    configured_by,
    data_option,
    executor_option,
    folder,
    from_option,
    given,
    memory_option,
    workers_option,
)
from pipeline.inspect_config import InspectConfig
from pipeline.sources import SOURCES
from pipeline.tables import number_of

MEND = "delete the files named above, and run the `python cli.py pack` that made the folder again"


def next_pretrain(shards: Path) -> None:
    """Print the command that trains on these shards; of several lengths on the first."""
    from shards.reader import read_shard_manifest

    lengths = list(read_shard_manifest(shards)[1])
    chosen = ["--max-length", str(lengths[0])] if len(lengths) > 1 else []
    next_command("pretrain", "--shards", shards, *chosen)


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Choice(list(SOURCES)))
@from_option
@data_option
@configured_by(FetchConfig)
@click.option("--base-url", help="a mirror of your own: a folder or server of HOST/PATH")
@click.option("--offline", is_flag=True, help="use what is here; never the network")
@click.option("--drop-raw", is_flag=True, help="remove each download once its parts are written")
@workers_option
@executor_option
def fetch(sources: tuple[str, ...], data: Path, **options: Any) -> None:  # noqa: ANN401
    """Download each SOURCE and make clean documents of it, as Parquet under data/text/SOURCE."""
    crew = choose_crew(options.pop("workers"), options.pop("executor"))
    crew.load_early("pipeline.extract")
    from pipeline.fetch import fetch as fetch_sources
    from pipeline.fetch_call import Fetch

    reading = {field.name: options.pop(field.name) for field in fields(FetchConfig)}
    call = {
        "sources": tuple(dict.fromkeys(sources)),
        "data": data,
        "crew": crew,
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


@click.command()
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


@click.command()
@folder("--text", "data/text", "folder that fetch filled")
@folder("--tokenizer", "data/tokenizer", "folder that tokenize wrote")
@folder("--out", "data/shards", "folder to write")
@configured_by(PackConfig)
@workers_option
@executor_option
@memory_option
@click.option("--dry-run", is_flag=True, help="only forecast rows, bytes and time from a sample")
def pack(text: Path, tokenizer: Path, out: Path, dry_run: bool, **options: Any) -> None:  # noqa: ANN401
    """Pack documents into rows of tokens, their masks drawn already, as Arrow shards."""
    if dry_run and given("executor"):
        raise click.UsageError("--dry-run works on this machine: leave --executor out")
    crew = choose_crew(options.pop("workers"), options.pop("executor"))
    if not dry_run:
        crew.load_early("pipeline.preload")
    from pipeline.dry_run import describe_forecast, forecast
    from pipeline.pack import pack as pack_text

    memory = options.pop("memory")
    call = (text, tokenizer, out, build(PackConfig, options))
    if dry_run:
        click.echo(
            describe_forecast(forecast(*call, 1 if crew.is_remote else crew.workers, memory))
        )
    else:
        show(pack_text(*call, crew.workers, memory, crew.executor))
        next_pretrain(out)


@click.command()
@click.argument("shards", type=PATH)
def verify(shards: Path) -> None:
    """Check every file, hash and row of SHARDS against the format."""
    from pipeline.inspect import verify as problems

    found = 0
    for problem in problems(shards):
        click.echo(problem)
        found += 1
    if found:
        problems_found = number_of(found, "problem")
        raise click.ClickException(f"{problems_found} in {shards}: {MEND}")
    click.echo(f"{shards} is intact")
    next_pretrain(shards)


@click.command()
@click.argument("shards", type=PATH)
@configured_by(InspectConfig)
@click.option("--plot", type=PICTURE, help="draw lengths, masks and segments as this PNG")
def inspect(shards: Path, plot: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Show the balance sheet of SHARDS, and rows as text with their masks."""
    from pipeline.inspect import inspect_shards

    config = build(InspectConfig, options)
    click.echo("\n".join(inspect_shards(shards, config, in_colour=in_colour())))
    if plot:
        from pipeline.histograms import draw_histograms

        click.echo(f"histograms: {draw_histograms(shards, config, plot)}")
    next_pretrain(shards)
