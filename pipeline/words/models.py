"""Tokens of new words, in machine code: greedy WordPiece and byte-level BPE.

They spell words of plain characters only; every other word, and every Unigram tokenizer, is spelt
by the package `tokenizers` (see `pipeline.words.columnar`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, compiled
from pipeline.words.table import Bytes, Table, add, find, key_of, make_table, spell

LONGEST = 100
"""Bytes of a word that is spelt here; WordPiece makes [UNK] of a word over 100 characters
(`max_input_chars_per_word` of bert and `tokenizers`), and BPE's time grows with the square."""

Flags = NDArray[np.bool_]
NONE = -1
NOT_HERE = 0xFFFFFFFF
"""Id of a byte that is not spelt here."""


class Spelling(NamedTuple):
    """Tokens of all known words.

    Attributes:
        ids: (any,) uint32, tokens of one word after another, in no order.
        is_start: (any,) bool, True where a pre-token begins.
        first: (N,) int64, where the tokens of a word begin.
        counts: (N,) int32, how many it has; NONE: not yet known.
        used: (1,) int64, tokens that are taken.
    """

    ids: NDArray[np.uint32]
    is_start: NDArray[np.bool_]
    first: NDArray[np.int64]
    counts: NDArray[np.int32]
    used: NDArray[np.int64]


class WordPieces(NamedTuple):
    """A WordPiece vocabulary.

    Attributes:
        begin: Pieces that begin a word.
        begin_ids: Their ids.
        inside: Pieces that follow, without "##".
        inside_ids: Their ids.
        fold: (256,) uint8, what a byte becomes: lower case, for an uncased vocabulary.
        limits: (2,) int64, bytes of the longest piece, and the id of [UNK].
    """

    begin: Table
    begin_ids: NDArray[np.uint32]
    inside: Table
    inside_ids: NDArray[np.uint32]
    fold: Bytes
    limits: NDArray[np.int64]


class Merges(NamedTuple):
    """The merges of a byte-level BPE.

    Attributes:
        byte_ids: (256,) uint32, id of each byte.
        pairs: Pairs of ids as words of 8 bytes; a pair's number is its rank.
        merged: Id that the pair of each rank becomes.
        fold: (256,) uint8, what a byte becomes: lower case, for an uncased tokenizer.
    """

    byte_ids: NDArray[np.uint32]
    pairs: Table
    merged: NDArray[np.uint32]
    fold: Bytes


def make_pieces(pieces: dict[bytes, int]) -> tuple[Table, NDArray[np.uint32]]:
    """Return a table of byte strings, and the number that each stands for."""
    text = np.frombuffer(b"".join(pieces), np.uint8)
    bounds = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    table = make_table(len(pieces) + 1, len(text) + 1)
    _add_all(table, text, bounds)
    return table, np.array([*pieces.values(), 0], np.uint32)


@compiled
def _add_all(table: Table, text: Bytes, bounds: NDArray[np.int64]) -> None:
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        low, high = key_of(text, start, stop)
        slot = -1 - find(table, text, start, stop, low, high)
        add(table, slot, text, start, stop, low, high)


@compiled
def spell_wordpieces(
    model: WordPieces, words: Table, first: Index, last: Index, plain: Flags, out: Spelling
) -> None:
    """Spell the plain words numbered from `first` to before `last` that are all ASCII."""
    text = np.empty(LONGEST + 1, np.uint8)
    for word in range(first, last):
        length = np.int64(words.lengths[word])
        if not plain[word] or length > LONGEST:
            continue
        spell(words, word, text)
        is_ascii = True
        for at in range(length):
            is_ascii = is_ascii and text[at] < 0x80
            text[at] = model.fold[text[at]]
        if is_ascii:
            out.first[word] = out.used[0]
            _finish(out, word, _write_pieces(model, text, length, out.ids, out.used[0]))


@compiled
def _write_pieces(
    model: WordPieces, text: Bytes, length: Index, ids: NDArray[np.uint32], used: Index
) -> Index:
    """Write the longest pieces, one after another; return where they end."""
    longest, unknown = model.limits
    begin, at = 0, used
    while begin < length:
        table = model.begin if begin == 0 else model.inside
        piece = -1
        end = min(length, begin + longest)
        while end > begin and piece < 0:
            low, high = key_of(text, begin, end)
            piece = find(table, text, begin, end, low, high)
            end -= 1
        if piece < 0:  # one piece that is not there makes the whole word [UNK]
            ids[used] = unknown
            return used + 1
        ids[at] = model.begin_ids[piece] if begin == 0 else model.inside_ids[piece]
        at += 1
        begin = end + 1
    return at


@compiled
def spell_merges(
    model: Merges, words: Table, first: Index, last: Index, plain: Flags, out: Spelling
) -> None:
    """Spell the plain words numbered from `first` to before `last`: each is one pre-token."""
    text = np.empty(LONGEST + 1, np.uint8)
    ids = np.empty(LONGEST + 1, np.uint32)
    ranks = np.empty(LONGEST + 1, np.int64)
    for word in range(first, last):
        length = np.int64(words.lengths[word])
        if not plain[word] or length > LONGEST:
            continue
        spell(words, word, text)
        is_here = True
        for at in range(length):
            ids[at] = model.byte_ids[model.fold[text[at]]]
            is_here = is_here and ids[at] != NOT_HERE
        if is_here:
            length = _merge(model, ids, ranks, length)
            used = out.used[0]
            out.first[word] = used
            out.ids[used : used + length] = ids[:length]
            _finish(out, word, used + length)


@compiled
def _merge(
    model: Merges, ids: NDArray[np.uint32], ranks: NDArray[np.int64], length: Index
) -> Index:
    """Merge the pair of the lowest rank, the leftmost first; return how many ids remain."""
    pair = np.empty(8, np.uint8)
    for at in range(length - 1):
        ranks[at] = _rank(model, ids[at], ids[at + 1], pair)
    while length > 1:
        best = np.argmin(ranks[: length - 1])
        if ranks[best] == NO_RANK:
            break
        ids[best] = model.merged[ranks[best]]
        length -= 1
        for at in range(best + 1, length):
            ids[at], ranks[at - 1] = ids[at + 1], ranks[at]
        if best > 0:
            ranks[best - 1] = _rank(model, ids[best - 1], ids[best], pair)
        if best < length - 1:
            ranks[best] = _rank(model, ids[best], ids[best + 1], pair)
    return length


NO_RANK = np.int64(1) << 62


@compiled
def _rank(model: Merges, left: np.uint32, right: np.uint32, pair: Bytes) -> Index:
    for at in range(4):
        pair[at] = (np.int64(left) >> (8 * at)) & 255
        pair[4 + at] = (np.int64(right) >> (8 * at)) & 255
    low, high = key_of(pair, 0, 8)
    rank = find(model.pairs, pair, 0, 8, low, high)
    return rank if rank >= 0 else NO_RANK


@compiled
def _finish(out: Spelling, word: Index, used: int) -> None:
    first = out.first[word]
    out.counts[word] = used - first
    out.is_start[first] = True
    for at in range(first + 1, used):
        out.is_start[at] = False
    out.used[0] = used
