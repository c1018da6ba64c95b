"""A table of distinct words: from the bytes of a word to its number, in order of first sight.

A word of up to 16 bytes is its own key: two integers of 64 bits. Of a longer one they are a hash,
and its bytes are kept and compared. So one word is never taken for another.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Address, Index, compiled, eight_bytes, inlined

SHORT = 16
"""Bytes of a word that fit into its key."""

_PRIME = np.uint64(0x00000100000001B3)
"""Multiplier of the 64-bit FNV-1a hash (Fowler, Noll and Vo)."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)."""
_EIGHT, _HALF, _TOP, _ALL = np.uint64(8), np.uint64(32), np.uint64(33), np.uint64(2**64 - 1)
ONE, TWO, THREE, FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
NOTHING = np.uint64(0)

PADDING = 8
"""Bytes after a text that must be there, whatever they are: eight are read at once."""

Bytes = NDArray[np.uint8]


class Table(NamedTuple):
    """The arrays of a table with room for N words.

    Attributes:
        slots: (4 S,) uint64, S a power of two, 2 N or more. A slot is four numbers: both halves of
            a key, the word's bytes, and its number plus 1 (0: free).
        low: (N,) uint64, first half of the key of each word.
        high: (N,) uint64, second half.
        lengths: (N,) int32, bytes of the word.
        long_at: (N,) int64, where the bytes of a word over SHORT are in `long_bytes`.
        long_bytes: (any,) uint8.
        used: (2,) int64, words and bytes of `long_bytes` that are taken.
    """

    slots: NDArray[np.uint64]
    low: NDArray[np.uint64]
    high: NDArray[np.uint64]
    lengths: NDArray[np.int32]
    long_at: NDArray[np.int64]
    long_bytes: Bytes
    used: NDArray[np.int64]


def make_table(words: int, long_bytes: int) -> Table:
    """Return an empty table with room for so many words, and so many bytes of long ones."""
    slots = 1 << max(4, (2 * words - 1).bit_length())
    return Table(
        np.zeros(4 * slots, np.uint64),
        np.empty(words, np.uint64),
        np.empty(words, np.uint64),
        np.empty(words, np.int32),
        np.zeros(words, np.int64),
        np.empty(long_bytes, np.uint8),
        np.zeros(2, np.int64),
    )


@inlined
def key_of(text: Address, start: Index, stop: Index) -> tuple[np.uint64, np.uint64]:
    """Return the two halves of the key of `text[start:stop]`; PADDING bytes must follow it."""
    length = stop - start
    if length <= 8:
        return _some_bytes(text, start, length), NOTHING
    if length <= SHORT:
        return eight_bytes(text, start), _some_bytes(text, start + 8, length - 8)
    low, high = NOTHING, NOTHING
    for at in range(start, stop, 8):
        some = _some_bytes(text, at, min(8, stop - at))
        low = (low ^ some) * _PRIME
        low ^= low >> _HALF
        high = (high + some) * _MIX
    return low, high


@inlined
def _some_bytes(text: Address, at: Index, count: Index) -> np.uint64:
    """Return up to eight bytes, at least one, as a number."""
    return eight_bytes(text, at) & (_ALL >> np.uint64(64 - 8 * count))


@inlined
def first_slot(low: np.uint64, high: np.uint64, length: np.uint64, mask: np.uint64) -> np.uint64:
    """Return the slot at which to begin looking for a key."""
    mixed = (low ^ (high * _PRIME) ^ length) * _MIX
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX
    return (mixed >> _TOP) & mask


@compiled
def find(
    table: Table, text: Bytes, start: Index, stop: Index, low: np.uint64, high: np.uint64
) -> Index:
    """Return the number of a word, or -1 minus the slot where it would be kept."""
    return find_slot(table.slots, table.long_at, table.long_bytes, text, start, stop, low, high)


@compiled
def find_slot(
    slots: NDArray[np.uint64],
    long_at: NDArray[np.int64],
    long_bytes: Bytes,
    text: Bytes,
    start: Index,
    stop: Index,
    low: np.uint64,
    high: np.uint64,
) -> Index:
    """Do as `find` does, given the arrays of the table apart: a loop is faster with them."""
    length = np.uint64(stop - start)
    mask = np.uint64(len(slots) // 4 - 1)
    slot = first_slot(low, high, length, mask)
    while slots[FOUR * slot + THREE] != NOTHING:
        at = FOUR * slot
        if slots[at] == low and slots[at + ONE] == high and slots[at + TWO] == length:
            word = np.int64(slots[at + THREE]) - 1
            if stop - start <= SHORT or _same(long_bytes, long_at[word], text, start, stop - start):
                return word
        slot = (slot + ONE) & mask
    return -1 - np.int64(slot)


@compiled
def _same(long_bytes: Bytes, at: Index, text: Bytes, start: Index, length: Index) -> bool:
    same = True
    for offset in range(length):
        same = same and long_bytes[at + offset] == text[start + offset]
    return same


@compiled
def add(
    table: Table,
    slot: Index,
    text: Bytes,
    start: Index,
    stop: Index,
    low: np.uint64,
    high: np.uint64,
) -> Index:
    """Keep a new word at a slot that `find` gave; return its number, or -1 if there is no room."""
    word, used = table.used[0], table.used[1]
    length = stop - start
    if word == len(table.low) or (length > SHORT and used + length > len(table.long_bytes)):
        return -1
    table.low[word], table.high[word], table.lengths[word] = low, high, length
    _occupy(table, slot, word)
    if length > SHORT:
        table.long_at[word] = used
        for offset in range(length):
            table.long_bytes[used + offset] = text[start + offset]
        table.used[1] = used + length
    table.used[0] = word + 1
    return word


@compiled
def _occupy(table: Table, slot: Index, word: Index) -> None:
    at = 4 * slot
    table.slots[at], table.slots[at + 1] = table.low[word], table.high[word]
    table.slots[at + 2], table.slots[at + 3] = np.uint64(table.lengths[word]), np.uint64(word + 1)


@compiled
def spell(table: Table, word: Index, out: Bytes) -> Index:
    """Copy the bytes of a word to the start of `out`; return how many there are."""
    length = table.lengths[word]
    if length > SHORT:
        at = table.long_at[word]
        for offset in range(length):
            out[offset] = table.long_bytes[at + offset]
        return length
    low, high = table.low[word], table.high[word]
    for offset in range(length):
        half = low if offset < 8 else high
        out[offset] = np.uint8((half >> (_EIGHT * np.uint64(offset % 8))) & np.uint64(255))
    return length


def grow(table: Table, words: int, long_bytes: int) -> Table:
    """Return a table of the same words with more room."""
    larger = make_table(words, long_bytes)
    used, used_bytes = table.used
    for name in ("low", "high", "lengths", "long_at"):
        getattr(larger, name)[:used] = getattr(table, name)[:used]
    larger.long_bytes[:used_bytes] = table.long_bytes[:used_bytes]
    larger.used[:] = table.used
    _fill_slots(larger)
    return larger


@compiled
def _fill_slots(table: Table) -> None:
    mask = np.uint64(len(table.slots) // 4 - 1)
    for word in range(table.used[0]):
        length = np.uint64(table.lengths[word])
        slot = first_slot(table.low[word], table.high[word], length, mask)
        while table.slots[FOUR * slot + THREE] != NOTHING:
            slot = (slot + ONE) & mask
        _occupy(table, np.int64(slot), word)


def read_words(table: Table, words: NDArray[np.int64]) -> list[bytes]:
    """Return the bytes of some words."""
    keys = np.stack([table.low[words], table.high[words]], axis=1).astype("<u8").tobytes()
    found = []
    for index, (word, length) in enumerate(zip(words, table.lengths[words], strict=True)):
        if length > SHORT:
            at = table.long_at[word]
            found.append(table.long_bytes[at : at + length].tobytes())
        else:
            found.append(keys[SHORT * index : SHORT * index + length])
    return found
