"""Byte-level BPE in machine code: the pair of the lowest rank is merged until none is left."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, compiled, inlined
from pipeline.words.spelling import (
    LONGEST,
    NONE,
    Dropout,
    Flags,
    Fold,
    Spelling,
    finish,
    fold_word,
    is_passed_over,
)
from pipeline.words.table import ONE, Table

NO_RANK = np.int64(1) << 62
_HALF, _TOP = np.uint64(32), np.uint64(40)
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)."""


class Pairs(NamedTuple):
    """A hash table of pairs of ids; S is a power of two, twice the pairs or more.

    Attributes:
        keys: (S,) uint64, left id times 2**32 plus right id.
        ranks: (S,) int64, or NO_RANK: free.
    """

    keys: NDArray[np.uint64]
    ranks: NDArray[np.int64]


class Merges(NamedTuple):
    """The merges of a byte-level BPE.

    Attributes:
        byte_ids: (256,) uint32, id of each byte.
        pairs: The rank of each pair.
        merged: Id that the pair of each rank becomes.
        fold: What characters become.
    """

    byte_ids: NDArray[np.uint32]
    pairs: Pairs
    merged: NDArray[np.uint32]
    fold: Fold


def byte_characters() -> list[str]:
    """Return the character that stands for each byte (bytes_to_unicode in GPT-2's encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(0x100)]


def make_pairs(pairs: NDArray[np.uint32]) -> Pairs:
    """Return the table of (2, N) ids, left and right, by rank; the first of equals counts."""
    size = 1 << max(4, (2 * pairs.shape[1]).bit_length())
    table = Pairs(np.zeros(size, np.uint64), np.full(size, NO_RANK))
    _add_pairs(table, pairs)
    return table


@compiled
def _add_pairs(table: Pairs, pairs: NDArray[np.uint32]) -> None:
    for rank in range(pairs.shape[1]):
        slot = _slot_of(table.keys, table.ranks, pairs[0, rank], pairs[1, rank])
        if table.ranks[slot] == NO_RANK:
            table.keys[slot] = np.uint64(pairs[0, rank]) << _HALF | np.uint64(pairs[1, rank])
            table.ranks[slot] = rank


@inlined
def _slot_of(
    keys: NDArray[np.uint64], ranks: NDArray[np.int64], left: np.uint32, right: np.uint32
) -> np.uint64:
    """Return where a pair is kept, or would be."""
    key = np.uint64(left) << _HALF | np.uint64(right)
    mask = np.uint64(len(keys) - 1)
    slot = ((key * _MIX) >> _TOP) & mask
    while ranks[slot] != NO_RANK and keys[slot] != key:
        slot = (slot + ONE) & mask
    return slot


@compiled
def spell_merges(
    model: Merges,
    words: Table,
    first: Index,
    last: Index,
    plain: Flags,
    out: Spelling,
    dropout: Dropout,
) -> None:
    """Spell the plain words numbered from `first` to before `last`: each is one pre-token."""
    raw, text = np.empty(LONGEST + 1, np.uint8), np.empty(LONGEST, np.uint8)
    ids, ranks = np.empty(LONGEST, np.uint32), np.empty(LONGEST, np.int64)
    probability, stream = dropout.probability, np.zeros(1, np.uint64)
    (keys, ranks_of), merged, byte_ids = model.pairs, model.merged, model.byte_ids
    for word in range(first, last):
        if not plain[word]:
            continue
        length, is_punctuation = fold_word(model.fold, words, word, raw, text, 0)
        if length != NONE:
            for at in range(length):
                ids[at] = byte_ids[text[at]]
            if probability > 0:
                stream[0] = dropout.keys[word]
            length = _merge((keys, ranks_of, merged), (probability, stream), ids, ranks, length)
            used = out.used[0]
            out.first[word] = used
            out.ids[used : used + length] = ids[:length]
            finish(out, word, used + length, is_punctuation)


@compiled
def _merge(
    model: tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint32]],
    dropout: tuple[float, NDArray[np.uint64]],
    ids: NDArray[np.uint32],
    ranks: NDArray[np.int64],
    length: Index,
) -> Index:
    """Merge the pair of the lowest rank, the leftmost first; return how many ids remain."""
    keys, ranks_of, merged = model
    probability, stream = dropout
    for at in range(length - 1):
        ranks[at] = ranks_of[_slot_of(keys, ranks_of, ids[at], ids[at + 1])]
    while length > 1:
        best = np.argmin(ranks[: length - 1])
        if ranks[best] == NO_RANK:
            break
        if is_passed_over(probability, stream):
            ranks[best] = NO_RANK  # until another merge is done
            continue
        ids[best] = merged[ranks[best]]
        length -= 1
        for at in range(best + 1, length):
            ids[at], ranks[at - 1] = ids[at + 1], ranks[at]
        first: Index = max(0, best - 1)
        last: Index = min(best + 1, length - 1)
        if probability > 0.0:
            first, last = 0, length - 1
        for at in range(first, last):
            ranks[at] = ranks_of[_slot_of(keys, ranks_of, ids[at], ids[at + 1])]
    return length
