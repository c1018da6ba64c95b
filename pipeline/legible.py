"""Ids back to text that reads naturally, with what is masked told apart.

Byte-level BPE and Unigram keep the spaces. WordPiece does not: here a space stands before every
word, except where English typography has none. (The library's own clean-up would also turn
"do not" into "don't".)
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models

CLITIC = r"(?:s|t|re|ve|ll|d|m)\b"
NO_SPACE = re.compile(
    r" (?=[.,;:!?%)\]}”])"  # before what closes
    r"|(?<=[(\[{“]) "  # behind what opens
    rf"|(?<=\w) (?=['\u2019] {CLITIC})|(?<=\w ['\u2019]) (?={CLITIC})"  # in it's
    r"|(?<=\w) (?=- \w)|(?<=\w -) (?=\w)"  # in half-past
)


def make_legible(tokenizer: Tokenizer) -> None:
    """Make a WordPiece tokenizer decode to words with a space between, and nothing else."""
    if isinstance(tokenizer.model, models.WordPiece):
        prefix = tokenizer.model.continuing_subword_prefix
        tokenizer.decoder = decoders.WordPiece(prefix=prefix, cleanup=False)


def text_of(
    tokenizer: Tokenizer, ids: Sequence[int], is_masked: NDArray[np.bool_]
) -> Iterator[tuple[str, bool]]:
    """Yield runs of text and whether they are masked; together they are the whole text.

    Args:
        tokenizer: One that `make_legible` has seen.
        ids: T tokens.
        is_masked: (T,).
    """
    if not ids:
        return
    text = tokenizer.decode(ids, skip_special_tokens=False)
    flags: list[bool] = []
    borders = np.flatnonzero(np.diff(is_masked)) + 1
    for start, end in zip([0, *borders], [*borders, len(ids)], strict=True):
        # A character whose bytes are not all there yet belongs to the run that completes it.
        before = tokenizer.decode(ids[:end], skip_special_tokens=False)
        known = _common(before, text) if end < len(ids) else len(text)
        flags += [bool(is_masked[start])] * (known - len(flags))
    pairs = list(zip(text, flags, strict=True))
    if isinstance(tokenizer.model, models.WordPiece):
        tight = {match.start() for match in NO_SPACE.finditer(text)}
        pairs = [pair for place, pair in enumerate(pairs) if place not in tight]
    for marked, run in groupby(pairs, key=lambda pair: pair[1]):
        yield "".join(character for character, _ in run), marked


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    differs = (place for place, (mine, its) in enumerate(pairs) if mine != its)
    return next(differs, min(len(one), len(other)))
