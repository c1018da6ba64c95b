"""The page's part on samples: what each run guessed at held-out places, at several steps."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from pipeline.encode import load_tokenizer
from pipeline.legible import make_legible, text_of
from shards.errors import DataError
from train.metrics import read_metrics
from train.report.markup import Markup, escape, paragraph, section, table, tag
from train.report.runs import ReportedRun
from train.runs import Run

MOST_STEPS = 5
"""Evaluations that are shown: the first, the last, and some between."""
HOW = {
    "masked_language_model": (
        "Rows that are held out. The marked words were hidden by [MASK]; below is what stood "
        "there, and what the model held likeliest after so many steps. Right guesses are green."
    ),
    "causal_language_model": (
        "Rows that are held out. The marked tokens are asked for, each told by all that comes "
        "before it; below is what stood there, and what the model held likeliest after so many "
        "steps. Right guesses are green."
    ),
}


class Guess(NamedTuple):
    """Guesses at a place: tokens, likeliest first, and their probabilities."""

    place: int
    tokens: list[int]
    probabilities: list[float]


class Row(NamedTuple):
    """The beginning of a row, as it stands in the text, and its guesses."""

    input_ids: list[int]
    guesses: list[Guess]


class Sample(NamedTuple):
    """What was guessed after a step."""

    step: int
    objective: str
    rows: list[Row]


def samples(runs: Sequence[ReportedRun]) -> str:
    """Return the section; nothing where no run has written samples."""
    parts, objectives = [], []
    for run in runs:
        try:
            shown = choose_samples(run.run.samples)
            if not shown:
                continue
            content = "".join(_rows(shown, _tokenizer(run.run)))
        except DataError as error:
            parts.append(paragraph(f"{run.name}: {error}", "note"))
            continue
        objectives += [sample.objective for sample in shown]
        title = tag("h3", escape(run.name)) if len(runs) > 1 else ""
        parts.append(title + content)
    how = [paragraph(HOW[name], "note") for name in dict.fromkeys(objectives)]
    return section("samples", "Samples", "".join([*how, *parts]))


def choose_samples(path: Path) -> list[Sample]:
    """Return a few evaluations of the rows that were looked at last, in order.

    Raises:
        DataError: A line is not what training writes.
    """
    steps: list[int] = []
    last: Any = None
    for line in read_metrics(path):  # once for the steps, for there may be many lines
        if line.get("max_length") != last:
            steps, last = [], line.get("max_length")
        steps.append(line["step"])
    if not steps:
        return []
    evenly = np.linspace(0, len(steps) - 1, min(MOST_STEPS, len(steps))).round().astype(int)
    chosen = {steps[place] for place in evenly}
    return [_parse(line, path) for line in read_metrics(path) if line["step"] in chosen]


def _parse(line: dict[str, Any], path: Path) -> Sample:
    try:
        rows = [
            Row(
                list(map(_token, row["input_ids"])),
                [
                    Guess(
                        _token(one["place"]),
                        list(map(_token, one["tokens"])),
                        list(map(float, one["probabilities"])),
                    )
                    for one in row["guesses"]
                ],
            )
            for row in line["rows"]
        ]
        if line["objective"] not in HOW:
            raise ValueError(f"objective {line['objective']}")
        if any(one.place >= len(row.input_ids) for row in rows for one in row.guesses):
            raise ValueError("a place beyond the row")
        return Sample(line["step"], line["objective"], rows)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{path} is not what training writes at step {line['step']} ({error!r})"
        raise DataError(problem, "delete it: the next evaluation begins another") from error


def _token(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r} is no token or place")
    return value


def _tokenizer(run: Run) -> Tokenizer:
    tokenizer = load_tokenizer(run.tokenizer / "tokenizer.json", "copy that of the shards there")
    make_legible(tokenizer)
    return tokenizer


def _rows(shown: Sequence[Sample], tokenizer: Tokenizer) -> Iterator[str]:
    """Yield each row: its text, and a table with a line for each place."""
    for number, row in enumerate(shown[-1].rows):
        if not row.guesses:
            continue
        at = {one.place for one in row.guesses}
        is_asked = np.array([place in at for place in range(len(row.input_ids))])
        pieces = text_of(tokenizer, row.input_ids, is_asked)
        text = "".join(_mark(one) if asked else escape(one) for one, asked in pieces)
        newest_first = shown[::-1]  # a narrow screen shows the first columns only
        columns = [_guesses(sample, number, row) for sample in newest_first]
        head = ("stood there", *(f"step {sample.step:,}" for sample in newest_first))
        lines = [
            (
                _word(tokenizer, row.input_ids[one.place]),
                *(_cell(tokenizer, column.get(one.place), row) for column in columns),
            )
            for one in row.guesses
        ]
        yield tag("p", text, class_="sample")
        yield table(head, lines, text=range(len(head)))


def _mark(text: str) -> str:
    """Return marked text, the space before it left as it is."""
    words = text.lstrip(" ")
    return " " * (len(text) - len(words)) + tag("mark", escape(words))


def _guesses(sample: Sample, number: int, row: Row) -> dict[int, Guess]:
    """Return the guesses at the same row, by place; none if the rows were others then."""
    if number >= len(sample.rows) or sample.rows[number].input_ids != row.input_ids:
        return {}
    return {one.place: one for one in sample.rows[number].guesses}


def _cell(tokenizer: Tokenizer, guess: Guess | None, row: Row) -> Markup:
    if guess is None:
        return Markup("-")
    words = []
    for token, share in zip(guess.tokens, guess.probabilities, strict=False):
        word = f"{_word(tokenizer, token)} {_percent(share)}"
        is_right = token == row.input_ids[guess.place]
        words.append(tag("span", word, class_="guessed right" if is_right else "guessed"))
    return Markup(" · ".join(words))


def _word(tokenizer: Tokenizer, token: int) -> Markup:
    """Return a token as text, or as it is in the vocabulary where it is only a part of one."""
    text = tokenizer.decode([token], skip_special_tokens=False)
    return Markup(tag("code", escape(text.strip() or tokenizer.id_to_token(token) or f"[{token}]")))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.005 else "&lt;1 %"
