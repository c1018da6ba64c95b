"""Tell which tokens of a text a discriminator holds for replaced (ELECTRA)."""

from dataclasses import dataclass
from itertools import groupby

import click
import torch

from train.inference.encoding import as_rows, encode
from train.inference.loaded import Loaded


@dataclass(frozen=True)
class Verdict:
    """What the discriminator says of one token.

    Attributes:
        token: As the vocabulary has it.
        start: Its first character in the text.
        end: The character after its last.
        probability: That it was replaced: the sigmoid of the logit.
    """

    token: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True)
class Detection:
    """A text and the verdict on each of its tokens; special ones around it have none."""

    text: str
    verdicts: tuple[Verdict, ...]


@torch.inference_mode()
def detect(loaded: Loaded, text: str) -> Detection:
    """Return the verdict on each token of `text`.

    Raises:
        DataError: The model tells nothing replaced, or `text` is empty or too long.
    """
    network = loaded.judge
    encoding = encode(loaded, network, text)
    input_ids = as_rows(loaded, encoding.ids)
    type_ids = as_rows(loaded, encoding.type_ids)
    logits = network.replaced_logits(input_ids, torch.ones_like(input_ids), type_ids)
    probabilities = logits[0].float().sigmoid().tolist()
    found = zip(
        encoding.tokens, encoding.offsets, probabilities, encoding.sequence_ids, strict=True
    )
    return Detection(
        text,
        tuple(
            Verdict(token, *_without_space(text, start, end), probability)
            for token, (start, end), probability, sequence in found
            if sequence is not None
        ),
    )


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where a token lies without the white space that some tokenizers count to it."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end


def marked(detection: Detection, threshold: float, *, in_colour: bool) -> str:
    """Return the text with the tokens held for replaced in colour, or in double square brackets.

    Args:
        detection: The text and its verdicts.
        threshold: The probability from which on a token is marked.
        in_colour: Whether a terminal reads it.
    """
    text = detection.text
    is_marked = [False] * len(text)
    for verdict in detection.verdicts:
        if verdict.probability >= threshold:
            is_marked[verdict.start : verdict.end] = [True] * (verdict.end - verdict.start)
    runs = groupby(range(len(text)), key=is_marked.__getitem__)
    parts = (("".join(text[place] for place in run), marks) for marks, run in runs)
    return "".join(_mark(part, in_colour) if marks else part for part, marks in parts)


def _mark(part: str, in_colour: bool) -> str:
    return click.style(part, fg="black", bg="yellow") if in_colour else f"[[{part}]]"
