"""The command that tells what a run will be: parse, call one function, print."""

import json
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import click

from pipeline.flags import PATH, build, configured_by
from train.config import Execution, PretrainConfig, pretrain_config
from train.config import execution as make_execution


@click.command()
@click.option("--shards", type=PATH, help="folder that pack wrote; without, rows are assumed")
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="how long to train, for each length of rows, to see how fast it is",
)
@click.option(
    "--vocab-size",
    type=click.IntRange(5),
    default=30522,
    show_default=True,
    help="tokens in the vocabulary, without --shards",
)
@configured_by(PretrainConfig)
@configured_by(Execution)
@click.option("--json", "as_document", is_flag=True, help="print JSON")
def plan(
    shards: Path | None,
    seconds: float,
    vocab_size: int,
    as_document: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Tell memory, time and disk of a run before it is started; options as for pretrain."""
    from train.plan import as_json, make_plan
    from train.plan_text import plan_text

    how = {one.name: options.pop(one.name) for one in fields(Execution)}
    config = build(pretrain_config, options)
    execution = build(partial(make_execution, config.preset), how)
    say = partial(click.echo, err=True)
    found = make_plan(config, execution, shards, seconds, say, vocab_size)
    click.echo(json.dumps(as_json(found), indent=1) if as_document else plan_text(found))
