"""The commands that ask a trained model about texts: parse, call one function, print.

Each command imports its own code when it runs, so that `--help` answers at once.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pipeline.bar import bar
from pipeline.console import in_colour, next_command, show_json
from pipeline.flags import PATH, build, configured_by, quiet_option
from train.config import Device
from train.inference.settings import GenerateSettings

if TYPE_CHECKING:
    from train.inference.generate import Generation
    from train.inference.loaded import Loaded

Command = Callable[..., None]
SENTENCE = "Paris is the [MASK] of France."
PROMPT = "Once upon a time"
SHOW_AFTER = 1.0
"""Seconds of work after which a bar appears."""

device_option = click.option(
    "--device",
    type=click.Choice(get_args(Device)),
    default="auto",
    show_default=True,
    help="where to compute",
)
json_option = click.option("--json", "as_json", is_flag=True, help="print a JSON object a line")


def reads_texts(command: Command) -> Command:
    """Add RUN, TEXT, and where else texts come from: one on each line."""
    for add in (
        click.argument("run", type=PATH),
        click.argument("text", required=False),
        click.option(
            "--from", "source", type=PATH, help="read texts from this file: .txt, .jsonl, .parquet"
        ),
        json_option,
        device_option,
        quiet_option,
    )[::-1]:
        command = add(command)
    return command


def texts_of(text: str | None, source: Path | None) -> tuple[Iterator[str], bool]:
    """Return the texts that a person gave, and whether it is TEXT itself."""
    from train.inference.texts import STANDARD_INPUT, read_texts

    if (text is None) == (source is None):
        raise click.UsageError("give TEXT (- reads standard input), or --from FILE")
    if source is not None or text == str(STANDARD_INPUT):
        file = source or STANDARD_INPUT
        return (read_texts(file) if sys.stdout.isatty() else counted_texts(file)), False
    return iter([text or ""]), True


def counted_texts(file: Path) -> Iterator[str]:
    """Yield the texts of a file, a bar beside them: no terminal shows the answers."""
    from train.inference.texts import count_texts, read_texts

    name = click.get_current_context().info_name
    with bar(desc=name, unit="text", delay=SHOW_AFTER) as shown:
        if not shown.disable:
            shown.reset(count_texts(file))
        for text in read_texts(file):
            yield text
            shown.update()


def load(run: Path, device: Device) -> "Loaded":
    """Open a model, and say so where it is still learning."""
    from train.inference.loaded import Loaded

    loaded = Loaded(run, device)
    if loaded.step is not None:
        click.echo(f"{run} has not ended: this is its model after step {loaded.step:,}", err=True)
    return loaded


def next_look(run: Path, loaded: "Loaded") -> None:
    """Print the command that tells how good a model is; `glue` wants a run that has ended."""
    next_command("glue" if loaded.step is None else "report", run)


def echo_json(content: dict[str, Any]) -> None:
    """Print an object in a line."""
    show_json(content, indent=None)


@click.command()
@reads_texts
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="fillings each")
def fill(
    run: Path, text: str | None, source: Path | None, as_json: bool, device: Device, top: int
) -> None:
    """Fill each [MASK] of TEXT with the likeliest words."""
    from train.inference.answers import answers
    from train.inference.fill import fill as fill_text

    texts, is_one = texts_of(text, source)
    loaded = load(run, device)
    for one, fillings in answers(texts, is_one, partial(fill_text, loaded, top=top)):
        if as_json:
            echo_json({"text": one, "masks": [asdict(filling) for filling in fillings]})
            continue
        if not is_one:
            click.echo(one)
        for filling in fillings:
            pairs = zip(filling.tokens, filling.probabilities, strict=True)
            click.echo("  ".join(f"{token} {share:.3f}" for token, share in pairs))
    if not as_json:
        next_look(run, loaded)


def _is_number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("nan is no number from 0 to 1", context, parameter)
    return value


@click.command()
@reads_texts
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    callback=_is_number,
    default=0.5,
    show_default=True,
    help="mark tokens of this probability and above",
)
def detect(
    run: Path,
    text: str | None,
    source: Path | None,
    as_json: bool,
    device: Device,
    threshold: float,
) -> None:
    """Mark the tokens that a discriminator holds for replaced."""
    from train.inference.answers import answers
    from train.inference.detect import detect as detect_in
    from train.inference.detect import marked

    texts, is_one = texts_of(text, source)
    loaded = load(run, device)
    for one, found in answers(texts, is_one, partial(detect_in, loaded)):
        if as_json:
            tokens = [
                asdict(verdict) | {"is_replaced": verdict.probability >= threshold}
                for verdict in found.verdicts
            ]
            echo_json({"text": one, "tokens": tokens})
            continue
        guilty = [one for one in found.verdicts if one.probability >= threshold]
        click.echo(marked(found, threshold, in_colour=in_colour()))
        named = "  ".join(f"{one.token} {one.probability:.3f}" for one in guilty)
        count = f"{len(guilty)} of {len(found.verdicts)} tokens"
        click.echo(f"  {count} held for replaced{': ' if named else ''}{named}")
    if as_json:
        return
    if loaded.fills:
        next_command("fill", run, SENTENCE)
    else:
        next_look(run, loaded)


@click.command()
@reads_texts
@configured_by(GenerateSettings)
def generate(
    run: Path,
    text: str | None,
    source: Path | None,
    as_json: bool,
    device: Device,
    **options: Any,  # noqa: ANN401
) -> None:
    """Go on with TEXT, the prompt.

    A causal model (GPT-2, ALGPT2) goes on token by token: the likeliest (greedy), drawn
    (--temperature, --top-k, --top-p), or by beam search (--num-beams).

    A masked model fills in the [MASK]s of TEXT, or as many after it as --max-new-tokens says, all
    at once and the doubtful ones again (mask-predict). That is no text from left to right.
    """
    from train.inference.answers import answers
    from train.inference.generate import ROUNDS
    from train.inference.generate import generate as continue_text

    settings = build(GenerateSettings, options)
    texts, is_one = texts_of(text, source)
    loaded = load(run, device)
    steps = settings.new_tokens if loaded.is_decoder else settings.rounds or ROUNDS
    unit = "token" if loaded.is_decoder else "round"

    def answer(one: str) -> "Generation":
        if not is_one:
            return continue_text(loaded, one, settings)
        with bar(total=steps, desc="generate", unit=unit, delay=SHOW_AFTER) as shown:
            return continue_text(loaded, one, settings, partial(shown.update, 1))

    for _, made in answers(texts, is_one, answer):
        if as_json:
            echo_json(asdict(made))
        else:
            click.echo(f"{made.text}\n  {_how(made)}")
    if not as_json:
        following = ("perplexity", run, "FILE") if loaded.is_decoder else ("fill", run, SENTENCE)
        next_command(*following)


def _how(made: "Generation") -> str:
    """Return how a text was made."""
    if made.method == "mask-predict":
        how = "no text from left to right, as of a causal model"
        return f"{made.tokens} masks filled in by mask-predict: {how}"
    score = "" if made.score is None else f", score {made.score:.4f}"
    ended = ", ended by the model" if made.is_ended else ""
    return f"{made.tokens} tokens, {made.method}{score}{ended}"
