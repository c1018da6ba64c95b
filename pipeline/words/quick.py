"""Plain words of ASCII, most of English, found eight bytes at a time; `cuts` has the rules."""

import numpy as np

from pipeline.compiled import (
    Address,
    Index,
    byte_at,
    compiled,
    eight_bytes,
    inlined,
    trailing_zeros,
)
from pipeline.words.cuts import (
    APOSTROPHE,
    BYTES,
    LETTER,
    MARK,
    NUMBER,
    SPACE,
    SPACED,
    UNKNOWN,
    WORDS,
    Bytes,
    next_word,
)

_LOWER, _SEVEN, _TOPS = (np.uint64(0x0101010101010101 * byte) for byte in (0x20, 0x7F, 0x80))
_FROM_A, _AFTER_Z = (np.uint64(0x0101010101010101 * (0x80 - ord(one))) for one in "a{")


@inlined
def _skip_letters(text: Address, at: Index, stop: Index) -> Index:
    """Return the end of the letters of ASCII that begin at `at`, eight bytes at a time."""
    end = at
    while end < stop:
        some = eight_bytes(text, end)
        lower = (some | _LOWER) & _SEVEN
        # Adding carries into a byte's top bit where it is "a" or more, "{" or more.
        others = ((lower + _FROM_A) & ~(lower + _AFTER_Z) & ~some & _TOPS) ^ _TOPS
        if others != 0:
            end += np.int64(trailing_zeros(others)) >> 3
            break
        end += 8
    return min(end, stop)


@compiled
def classes_of_ascii(classes: Bytes) -> Bytes:
    """Return (256,) classes for `word_at`: UNKNOWN for what is no ASCII.

    All are UNKNOWN where a letter of ASCII is no LETTER, on which `_skip_letters` relies.
    """
    found = classes[:256].copy()
    found[128:] = UNKNOWN
    for first in (65, 97):
        if (found[first : first + 26] != LETTER).any():
            found[:] = UNKNOWN
    return found


@inlined
def _quick_of_words(text: Address, at: Index, stop: Index, ascii_classes: Address) -> Index:
    kind = byte_at(ascii_classes, byte_at(text, at))
    end = at + 1
    if kind == LETTER:
        end = _skip_letters(text, at, stop)
        while end < stop and byte_at(ascii_classes, byte_at(text, end)) == LETTER:
            end += 1
    elif kind != MARK:
        return -1
    if end < stop and byte_at(ascii_classes, byte_at(text, end)) == UNKNOWN:
        return -1
    return end


@inlined
def _quick_of_bytes(text: Address, at: Index, stop: Index, ascii_classes: Address) -> Index:
    kind = byte_at(ascii_classes, byte_at(text, at))
    end = at + 1
    if kind == SPACE and end < stop:
        kind = byte_at(ascii_classes, byte_at(text, end))
        end += 1
    if kind == LETTER:
        end = _skip_letters(text, end, stop)
    elif kind != MARK and kind != NUMBER:
        return -1
    while end < stop and byte_at(ascii_classes, byte_at(text, end)) == kind:
        end += 1
    if end < stop:
        after = byte_at(ascii_classes, byte_at(text, end))
        if after == UNKNOWN or (kind == MARK and after >= APOSTROPHE):
            return -1
    return end


@inlined
def _quick_of_spaced(text: Address, at: Index, stop: Index, ascii_classes: Address) -> Index:
    end = _skip_letters(text, at, stop)
    while end < stop and byte_at(ascii_classes, byte_at(text, end)) == LETTER:
        end = _skip_letters(text, end + 1, stop)
    if end == stop:
        return end
    is_cut = (
        end > at
        and end + 1 < stop
        and byte_at(ascii_classes, byte_at(text, end)) == SPACE
        and byte_at(ascii_classes, byte_at(text, end + 1)) == LETTER
    )
    return end if is_cut else -1


@inlined
def _quick_end(
    text: Address, at: Index, stop: Index, ascii_classes: Address, style: Index
) -> Index:
    """Return the end of a plain word of ASCII that begins at `at`, or -1: ask `next_word`."""
    if style == WORDS:
        return _quick_of_words(text, at, stop, ascii_classes)
    if style == BYTES:
        return _quick_of_bytes(text, at, stop, ascii_classes)
    return _quick_of_spaced(text, at, stop, ascii_classes)


@inlined
def word_at(
    text: Address, at: Index, stop: Index, classes: Address, ascii_classes: Address, style: Index
) -> tuple[Index, Index, Index, bool]:
    """Do as `next_word` does, plain words of ASCII in an eighth of the time: most of English."""
    end = _quick_end(text, at, stop, ascii_classes, style)
    if end < 0:
        return next_word(text, at, stop, classes, style)
    return at, end, end + 1 if style == SPACED and end < stop else end, True
