"""The command that tells what a run will be: parse, call one function, print."""

import math
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import click

from pipeline.console import show_json
from pipeline.flags import PATH, build, configured_by, given, json_option
from train.config import Execution, PretrainConfig, pretrain_config
from train.config import execution as make_execution

UNUSED = ("compile", "on_checkpoint", "quiet", "most_tokens")
"""Of how a run is carried out: what a plan does not depend on, or does not try."""


def _check_seconds(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not 0 < value < math.inf:
        raise click.BadParameter(f"{value:g} is no time: give seconds above 0, such as 10")
    return value


@click.command()
@click.option("--shards", type=PATH, help="folder that pack wrote; without, rows are assumed")
@click.option(
    "--seconds",
    type=float,
    callback=_check_seconds,
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
@configured_by(Execution, leave_out=UNUSED)
@json_option
def plan(
    shards: Path | None,
    seconds: float,
    vocab_size: int,
    as_document: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Tell memory, time and disk of a run before it is started.

    Options are those of pretrain.

    Speed is without --compile. What neither memory, time nor disk depends on, such as the learning
    rate, is checked as pretrain does.
    """
    from train.plan import as_json, make_plan
    from train.plan_text import plan_text

    if shards is not None and given("vocab_size"):
        raise click.UsageError("--vocab-size is for a plan without --shards, which have their own")
    used = [one.name for one in fields(Execution) if one.name not in UNUSED]
    how = {name: options.pop(name) for name in used}
    config = build(pretrain_config, options)
    execution = build(partial(make_execution, config.preset), how)
    say = partial(click.echo, err=True)
    found = make_plan(config, execution, shards, seconds, say, vocab_size)
    if as_document:
        show_json(as_json(found))
    else:
        click.echo(plan_text(found))
