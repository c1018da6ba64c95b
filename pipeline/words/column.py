"""The words of a text as a column of numbers; in machine code."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, byte_at, compiled
from pipeline.words.cuts import SPACE, WORDS
from pipeline.words.quick import word_at
from pipeline.words.spelling import Flags
from pipeline.words.table import (
    FOUR,
    NOTHING,
    ONE,
    SHORT,
    THREE,
    TWO,
    Bytes,
    Table,
    add,
    find,
    find_slot,
    first_slot,
    key_of,
)


class Words(NamedTuple):
    """Words found in a text, one after another.

    Attributes:
        begins: (W,) int64, byte at which each begins.
        lengths: (W,) int32, its bytes.
        low: (W,) uint64, first half of its key.
        high: (W,) uint64, second half.
        plain: (W,) bool, whether it is one pre-token of known characters.
        codes: (W,) int32, its number in the table.
    """

    begins: NDArray[np.int64]
    lengths: NDArray[np.int32]
    low: NDArray[np.uint64]
    high: NDArray[np.uint64]
    plain: NDArray[np.bool_]
    codes: NDArray[np.int32]


@compiled
def find_words(
    raw: Bytes,
    bounds: NDArray[np.int64],
    place: tuple[Index, Index],
    of_ascii: Bytes,
    rules: tuple[Bytes, int],
    words: Words,
    unit_words: NDArray[np.int64],
    before: Index,
) -> tuple[Index, Index, Index]:
    """Find the words of a text from `place` on, until it ends or `words` is full.

    Args:
        raw: All units, joined.
        bounds: (U + 1,) where units begin.
        place: The unit and the byte to go on at.
        of_ascii: Classes of characters of ASCII.
        rules: Classes of all characters, and style.
        words: Gains the words.
        unit_words: (U + 1,) gains the number of words before each unit.
        before: Words before this call.

    Returns:
        The unit and byte at which it stopped, and how many words it found.
    """
    unit, at = place
    begins, lengths, low, high, plain, _ = words
    text, quick, classes, style = (
        raw.ctypes.data,
        of_ascii.ctypes.data,
        rules[0].ctypes.data,
        rules[1],
    )
    count, most = 0, len(begins)
    units = len(bounds) - 1
    while unit < units:
        stop = bounds[unit + 1]
        if at == bounds[unit]:
            unit_words[unit] = before + count
        while at < stop and count < most:
            if style == WORDS and byte_at(quick, byte_at(text, at)) == SPACE:
                at += 1
                continue
            begin, end, at, is_plain = word_at(text, at, stop, classes, quick, style)
            if begin < end:
                begins[count], lengths[count], plain[count] = begin, end - begin, is_plain
                low[count], high[count] = key_of(text, begin, end)
                count += 1
        if at < stop:
            return unit, at, count
        unit += 1
    unit_words[units] = before + count
    return unit, at, count


@compiled
def number_words(raw: Bytes, words: Words, count: Index, table: Table, plain: Flags) -> Index:
    """Look the first `count` words up; new ones enter the table, until it is full.

    Returns:
        How many words have a number now.
    """
    _find_known(raw, words, count, table.slots, table.long_at, table.long_bytes)
    for index in range(count):
        if words.codes[index] < 0:
            begin, low, high = words.begins[index], words.low[index], words.high[index]
            end = begin + words.lengths[index]
            word = find(table, raw, begin, end, low, high)  # it may have entered just now
            if word < 0:
                word = add(table, -1 - word, raw, begin, end, low, high)
                if word < 0:
                    return index
                plain[word] = words.plain[index]
            words.codes[index] = word
    return count


@compiled
def _find_known(
    raw: Bytes,
    words: Words,
    count: Index,
    slots: NDArray[np.uint64],
    long_at: NDArray[np.int64],
    long_bytes: Bytes,
) -> None:
    """Write the numbers of the words that are known, else -1.

    A loop of its own, over arrays alone, so that the processor waits for many slots at once.
    """
    begins, lengths, lows, highs, _, codes = words
    mask = np.uint64(len(slots) // 4 - 1)
    for index in range(count):
        low, high, length = lows[index], highs[index], np.uint64(lengths[index])
        slot = first_slot(low, high, length, mask)
        word = np.int64(-1)
        while slots[FOUR * slot + THREE] != NOTHING:
            at = FOUR * slot
            if slots[at] == low and slots[at + ONE] == high and slots[at + TWO] == length:
                word = np.int64(slots[at + THREE]) - 1
                break
            slot = (slot + ONE) & mask
        if word >= 0 and length > np.uint64(SHORT):  # its key is a hash: look at its bytes
            begin = begins[index]
            end = begin + lengths[index]
            word = find_slot(slots, long_at, long_bytes, raw, begin, end, low, high)
        codes[index] = max(word, np.int64(-1))
