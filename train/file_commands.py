"""The commands that read a file with a trained model: parse, call one function, print.

Each command imports its own code when it runs, so that `--help` answers at once.
"""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.bar import bar
from pipeline.console import next_command
from pipeline.flags import PATH, quiet_option
from train.config import Device
from train.inference_commands import (
    PROMPT,
    SENTENCE,
    SHOW_AFTER,
    device_option,
    echo_json,
    json_option,
    load,
    next_look,
)

if TYPE_CHECKING:
    from train.inference.embed import Pooling


@click.command()
@click.argument("run", type=PATH)
@click.argument("file", type=PATH)
@click.option("--out", type=PATH, required=True, help="Parquet file to write")
@click.option(
    "--pooling",
    type=click.Choice(["mean", "first"]),
    default="mean",
    show_default=True,
    help="the mean of all tokens' states, or the first token's",
)
@click.option("--truncate", is_flag=True, help="cut texts that are longer than the model takes")
@json_option
@device_option
@quiet_option
def embed(
    run: Path,
    file: Path,
    out: Path,
    pooling: "Pooling",
    truncate: bool,
    as_json: bool,
    device: Device,
) -> None:
    """Write a vector for each text of FILE to a Parquet file.

    FILE has a text on each line, or in the field or column `text` of a .jsonl or .parquet; - is
    standard input.
    """
    from train.inference.embed import check_out, embed_file
    from train.inference.texts import count_texts, read_texts

    check_out(out, file)
    loaded = load(run, device)
    with bar(desc="embed", unit="text", delay=SHOW_AFTER) as shown:
        if not shown.disable:
            shown.reset(count_texts(file))
        made = embed_file(loaded, read_texts(file), out, pooling, cuts=truncate, tick=shown.update)
    if as_json:
        echo_json(asdict(made) | {"pooling": pooling, "out": str(out)})
        return
    cut = f", {made.cut} of them cut" if truncate else ""
    click.echo(f"{made.texts:,} texts{cut}, {made.width} numbers each -> {out}")
    if loaded.is_decoder:
        next_command("generate", run, PROMPT)
    else:
        next_look(run, loaded)


@click.command()
@click.argument("run", type=PATH)
@click.argument("file", type=PATH)
@click.option(
    "--stride",
    type=click.IntRange(1),
    help="tokens from one window to the next; fewer predict from more  [default: half a window]",
)
@json_option
@device_option
@quiet_option
def perplexity(run: Path, file: Path, stride: int | None, as_json: bool, device: Device) -> None:
    """Tell how well RUN predicts FILE, all of it one text.

    The texts of a .jsonl or .parquet are its lines; - is standard input.

    A causal model has a perplexity. A masked model has a pseudo-perplexity, each token hidden in
    turn, which cannot be compared with it.
    """
    from train.inference.perplexity import measure_perplexity
    from train.inference.texts import read_whole

    loaded = load(run, device)
    text = read_whole(file)
    with bar(desc="perplexity", unit="token", delay=SHOW_AFTER) as shown:
        made = measure_perplexity(loaded, text, stride, shown.reset, shown.update)
    if as_json:
        echo_json({"file": str(file)} | asdict(made))
        return
    of_token, of_word = map(_figure, (made.perplexity, made.word_perplexity))
    click.echo(f"{made.kind} {of_token} a token, {of_word} a word")
    click.echo(
        f"  {made.tokens:,} tokens in {made.words:,} words, {made.loss:.4f} nats a token; "
        f"windows of {made.max_length} tokens, stride {made.stride}"
    )
    next_command(*(("generate", run, PROMPT) if loaded.is_decoder else ("fill", run, SENTENCE)))


def _figure(value: float | None) -> str:
    return "no figure" if value is None or math.isinf(value) else f"{value:,.2f}"
