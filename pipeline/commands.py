"""The commands that make and show data: parse, call one function, print.

Each command imports its own code when it runs, so that `--help` answers at once.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from pipeline.config import FetchConfig, PackConfig, TokenizeConfig, import_config
from pipeline.console import in_colour, next_command, show, show_json
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
    json_option,
    memory_option,
    quiet_option,
    workers_option,
)
from pipeline.inspect_config import InspectConfig
from pipeline.sources import SOURCES
from pipeline.tables import number_of

MUCH = 1_000_000_000
"""Bytes of shards: the text of a home corpus, not a trial."""
MEND = "delete the files named above, and run the `python cli.py pack` that made the folder again"


def next_pretrain(shards: Path) -> None:
    """Print the command that trains on these shards; of several lengths on the first.

    On little text the default preset would take months, and on running text it would be refused.
    """
    from shards.reader import read_shard_manifest

    manifest, headers = read_shard_manifest(shards)
    length, header = next(iter(headers.items()))
    size = sum(record.bytes for name, record in manifest.files.items() if name.endswith(".arrow"))
    chosen = ["--stages", str(length)] if len(headers) > 1 else []
    if header.layout == "stream":
        chosen += ["--preset", "gpt2-small", "--hours", "24"]
    elif size < MUCH:
        chosen += ["--preset", "tiny"]
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
@quiet_option
def fetch(sources: tuple[str, ...], data: Path, **options: Any) -> None:  # noqa: ANN401
    """Download each SOURCE; make clean documents of it.

    They are Parquet files under data/text/SOURCE.
    """
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
@quiet_option
def tokenize(text: Path, out: Path, vocabulary: str | None, **options: Any) -> None:  # noqa: ANN401
    """Train a tokenizer on the text, or take one over.

    It loads in `tokenizers` and in `transformers`.
    """
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
@quiet_option
def pack(text: Path, tokenizer: Path, out: Path, dry_run: bool, **options: Any) -> None:  # noqa: ANN401
    """Pack documents into rows of tokens, with masks, as shards."""
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
@quiet_option
@json_option
def verify(shards: Path, as_document: bool) -> None:
    """Check every file, hash and row of SHARDS against the format."""
    from pipeline.bar import bar
    from pipeline.inspect import verify as problems
    from shards.reader import read_shard_manifest

    found = []
    size = sum(record.bytes for record in read_shard_manifest(shards)[0].files.values())
    with bar(total=size, desc="verify", unit="B", unit_scale=True, leave=False) as progress:
        for problem in problems(shards, progress.update):
            found.append(problem)
            if not as_document:
                with progress.external_write_mode():
                    click.echo(problem)
    if as_document:
        show_json({"shards": str(shards), "is_intact": not found, "problems": found})
    if found:
        problems_found = number_of(len(found), "problem")
        raise click.ClickException(f"{problems_found} in {shards}: {MEND}")
    if not as_document:
        click.echo(f"{shards} is intact")
        next_pretrain(shards)


@click.command()
@click.argument("shards", type=PATH)
@configured_by(InspectConfig)
@click.option("--plot", type=PICTURE, help="draw lengths, masks and segments as this PNG")
@json_option
def inspect(shards: Path, plot: Path | None, as_document: bool, **options: Any) -> None:  # noqa: ANN401
    """Show the balance sheet of SHARDS, and rows with their masks."""
    from pipeline.inspect import inspect_shards

    config = build(InspectConfig, options)
    if as_document:
        from pipeline.inspect_json import rows_as_json

        show_json(rows_as_json(shards, config))
    else:
        click.echo("\n".join(inspect_shards(shards, config, in_colour=in_colour())))
    if plot:
        from pipeline.histograms import draw_histograms

        click.echo(f"histograms: {draw_histograms(shards, config, plot)}", err=as_document)
    if not as_document:
        next_pretrain(shards)
