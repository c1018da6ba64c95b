"""Which documents of a block are packed, and for which split; each choice is a hash's.

A source of weight 2.5 is packed three times: whole, whole, and half of it. Which half is told by
the documents' texts, so that it is the same whatever else is packed. What is held out for
validation is packed once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.draws import seeded_hash

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Chosen:
    """D documents of one split.

    Attributes:
        texts: Their texts.
        keys: (D,) uint64, keys of their random draws.
        numbers: (D,) uint32, their numbers among all inputs.
    """

    texts: list[str]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.uint32]


def choose(
    texts: Sequence[str],
    keys: NDArray[np.uint64],
    first_document: int,
    rule: tuple[int, float, int, float],
    counts: Counter[str],
) -> dict[str, Chosen]:
    """Return the documents of each split.

    Args:
        texts: A block of documents.
        keys: (D,) the key of each document's random draws.
        first_document: Number of the first of them among all inputs.
        rule: Seed, share held out, number of the repetition, and the share that this one takes.
        counts: Gains documents, those held out and those left out.
    """
    seed, validation_fraction, repetition, share = rule
    fractions = np.array([hash_fraction(text, seed) for text in texts])
    is_held_out = fractions < validation_fraction
    is_taken = np.ones(len(texts), np.bool_)
    if share < 1:
        is_taken = np.array([hash_fraction("share\0" + text, seed) for text in texts]) < share
    is_taken = np.where(is_held_out, repetition == 0, is_taken)
    numbers = np.arange(first_document, first_document + len(texts), dtype=np.uint32)
    chosen = {}
    for split, is_of_split in zip(SPLITS, (~is_held_out, is_held_out), strict=True):
        which = np.flatnonzero(is_of_split & is_taken)
        some = [texts[one] for one in which.tolist()]
        chosen[split] = Chosen(some, keys[which], numbers[which])
    counts["documents"] += int(is_taken.sum())
    counts["validation_documents"] += len(chosen["validation"].texts)
    counts["thinned_documents"] += int((~is_taken).sum()) if not repetition else 0
    return chosen


def hash_fraction(text: str, seed: int) -> float:
    """Return a number in [0, 1) that a text has, another one for each seed."""
    return float(int.from_bytes(seeded_hash(text, seed).digest(8), "little") / 2.0**64)
