"""The tokens of known words, and what the characters of a word become before it is spelt."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, compiled, inlined
from pipeline.draws import draw_unit
from pipeline.words.table import Bytes, Table, spell

LONGEST = 100
"""Bytes of a word that is spelt in machine code; WordPiece makes [UNK] of a word over 100
characters (`max_input_chars_per_word` of bert and `tokenizers`), and BPE's time grows with the
square."""
NOT_HERE = 255
"""Length in a `Fold` of what is left to the package `tokenizers`."""
NONE = -1

START, PUNCTUATION = 1, 2
"""Flags of a token: it begins a word, that is a pre-token or what `pipeline.words.unspaced` names;
it is of a pre-token without letter and number."""

ID_BITS, SINGLE = np.uint64(32), np.uint64(1 << 40)

Flags = NDArray[np.bool_]


class Spelling(NamedTuple):
    """Tokens of all known words.

    Attributes:
        ids: (any,) uint32, tokens of one word after another, in no order.
        flags: (any,) uint8, START and PUNCTUATION of each.
        first: (N,) int64, where the tokens of a word begin.
        counts: (N,) int32, how many it has; NONE: not yet known.
        singles: (N,) uint64, of a word that is one token: its id, from ID_BITS on its flags, and
            the bit SINGLE; else 0.
        used: (1,) int64, tokens that are taken.
    """

    ids: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    first: NDArray[np.int64]
    counts: NDArray[np.int32]
    singles: NDArray[np.uint64]
    used: NDArray[np.int64]


class Dropout(NamedTuple):
    """How words are spelt anew each time that they come (BPE-dropout, Provilkov et al. 2020).

    Attributes:
        probability: How often a merge, or a piece of several characters, is passed over.
        keys: (N,) uint64, key of the random draws of each word; (0,) where nothing is passed over.
    """

    probability: float
    keys: NDArray[np.uint64]


EVERY_PIECE = Dropout(0.0, np.empty(0, np.uint64))


@inlined
def is_passed_over(probability: float, stream: NDArray[np.uint64]) -> bool:
    """Draw whether a piece is passed over."""
    return probability > 0.0 and draw_unit(stream) < probability


class Fold(NamedTuple):
    """What each character of Unicode's first plane becomes where it is normalized by itself.

    Attributes:
        first: (65536,) int32, where that begins in `text`.
        lengths: (65536,) uint8, its bytes; NOT_HERE: it may depend on other characters.
        text: (any,) uint8, UTF-8.
        is_shy: (65536,) bool, two of these side by side become something else (`` and '').
        is_mark: (65536,) bool, neither a letter nor a number.
    """

    first: NDArray[np.int32]
    lengths: NDArray[np.uint8]
    text: Bytes
    is_shy: Flags
    is_mark: Flags


@compiled
def fold_word(
    fold: Fold, words: Table, word: Index, raw: Bytes, out: Bytes, start: Index
) -> tuple[Index, bool]:
    """Write a normalized word to `out` from `start` on, by way of `raw`.

    Returns:
        Where it ends, or NONE: it is for `tokenizers` to spell; and whether it is punctuation.
    """
    length = np.int64(words.lengths[word])
    if length > LONGEST:
        return NONE, False
    spell(words, word, raw)
    at, end, was_shy, is_punctuation = 0, start, False, True
    while at < length:
        byte = np.int64(raw[at])
        if byte < 0x80:
            code, width = byte, 1
        elif byte < 0xE0:
            code, width = (byte & 0x1F) << 6 | np.int64(raw[at + 1]) & 0x3F, 2
        elif byte < 0xF0:
            middle, last = np.int64(raw[at + 1]) & 0x3F, np.int64(raw[at + 2]) & 0x3F
            code, width = (byte & 0x0F) << 12 | middle << 6 | last, 3
        else:
            return NONE, False
        count = np.int64(fold.lengths[code])
        if count == NOT_HERE or (was_shy and fold.is_shy[code]) or end + count > len(out):
            return NONE, False
        was_shy = fold.is_shy[code]
        is_punctuation = is_punctuation and fold.is_mark[code]
        first = fold.first[code]
        for offset in range(count):
            out[end + offset] = fold.text[first + offset]
        end += count
        at += width
    return end, is_punctuation


@compiled
def finish(out: Spelling, word: Index, used: Index, is_punctuation: bool) -> None:
    """Note that the tokens of a word, one pre-token, end before `used`."""
    first = out.first[word]
    kind = np.uint8(PUNCTUATION if is_punctuation else 0)
    out.counts[word] = used - first
    for at in range(first, used):
        out.flags[at] = kind
    out.flags[first] |= np.uint8(START)
    out.used[0] = used
