"""Where a text may be cut so that its pieces have the ids that they have in the whole.

A tokenizer normalizes a text, splits it into pre-tokens, and tokenizes each of those alone. A cut
is safe where it changes neither step. Whether it does is told by the characters on both sides: for
each character of Unicode's first plane its class is learnt by asking the tokenizer itself. What is
not understood is UNKNOWN, and no cut is made beside it. The pieces between cuts are called words.

Styles, after the pre-tokenizers of `tokenizers`:
- WORDS, BertPreTokenizer: white space separates, each mark (punctuation, Chinese) stands alone.
- BYTES, ByteLevel with GPT-2's pattern: runs of letters, of numbers, of others, each with the one
  space before it; `'s` and its like are words (https://github.com/openai/gpt-2, src/encoder.py).
- SPACED, Metaspace: white space separates and nothing else.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Address, Index, byte_at, compiled, inlined

WORDS, BYTES, SPACED = 0, 1, 2

UNKNOWN, SPACE, LETTER, MARK, NUMBER, BREAK, APOSTROPHE, FOLDED_APOSTROPHE = range(8)
"""Classes of characters. WORDS has SPACE (any white space), LETTER and MARK; BYTES has SPACE
(U+0020 alone), BREAK (other white space), LETTER, NUMBER, MARK and APOSTROPHE (U+0027), which is a
FOLDED_APOSTROPHE where "'S" or "'\u015b" become "'s"; SPACED has SPACE (U+0020 alone) and LETTER
(anything simple)."""

PLANE = 1 << 16
"""Characters whose class is kept: beyond there are emoji and rare scripts, all UNKNOWN."""

Bytes = NDArray[np.uint8]


@inlined
def _class_at(text: Address, at: Index, classes: Address) -> tuple[Index, Index]:
    """Return the class and the width in bytes of the character at `at`."""
    byte = byte_at(text, at)
    if byte < 0x80:
        return byte_at(classes, byte), 1
    if byte < 0xE0:
        return byte_at(classes, (byte & 0x1F) << 6 | byte_at(text, at + 1) & 0x3F), 2
    if byte < 0xF0:
        middle, last = byte_at(text, at + 1) & 0x3F, byte_at(text, at + 2) & 0x3F
        return byte_at(classes, (byte & 0x0F) << 12 | middle << 6 | last), 3
    return UNKNOWN, 4


@compiled
def next_word(
    text: Address, at: Index, stop: Index, classes: Address, style: Index
) -> tuple[Index, Index, Index, bool]:
    """Find the next word of a unit in `text[at:stop]`; `at` is the unit's begin or a cut.

    Returns:
        Begin and end of the word (equal: there is none), where to go on, and whether it is one
        pre-token of known characters.
    """
    if style == WORDS:
        return _next_of_words(text, at, stop, classes)
    if style == BYTES:
        return _next_of_bytes(text, at, stop, classes)
    return _next_of_spaced(text, at, stop, classes)


@compiled
def _next_of_words(
    text: Address, at: Index, stop: Index, classes: Address
) -> tuple[Index, Index, Index, bool]:
    while at < stop:
        before, width = _class_at(text, at, classes)
        if before != SPACE:
            break
        at += width
    if at >= stop:
        return stop, stop, stop, False
    end = at + width
    known = before != UNKNOWN
    while end < stop:
        after, width = _class_at(text, end, classes)
        if after == SPACE:
            break
        if before != UNKNOWN and after != UNKNOWN and (before == MARK or after == MARK):
            break
        known = known and after != UNKNOWN
        before = after
        end += width
    return at, end, end, known


@compiled
def _next_of_bytes(
    text: Address, at: Index, stop: Index, classes: Address
) -> tuple[Index, Index, Index, bool]:
    kind, width = _class_at(text, at, classes)
    end = at + width
    if kind in (SPACE, BREAK):
        cut, end, kind = _after_white_space(text, at, stop, classes)
        if cut > at:
            return at, cut, cut, True
    known = kind != UNKNOWN
    is_apostrophe = kind >= APOSTROPHE  # the marks so far are a single "'"
    while end < stop:
        after, width = _class_at(text, end, classes)
        if kind == UNKNOWN or after == UNKNOWN:
            known = False
            is_apostrophe = after >= APOSTROPHE
            after = _beside_unknown(after)
        elif is_apostrophe and after == LETTER:
            if known and kind == APOSTROPHE:
                end = _end_of_contraction(text, at, end, stop)
                break
            known = is_apostrophe = False  # it may be two pre-tokens
        elif _is_cut(kind, after):
            break
        else:
            is_apostrophe = False
        kind = after
        end += width
    return at, end, end, known


@inlined
def _beside_unknown(kind: Index) -> Index:
    return UNKNOWN if kind in (SPACE, BREAK) else kind  # no cut beside white space either


@compiled
def _end_of_contraction(text: Address, at: Index, end: Index, stop: Index) -> Index:
    """Return the end of a pre-token whose "'" ends at `end`: with letters only if it begins it."""
    if end > at + 1:
        return end  # " 't" is " '" and "t"
    first = byte_at(text, end)
    second = byte_at(text, end + 1) if end + 1 < stop else 0
    if first in (ord("s"), ord("t"), ord("m"), ord("d")):
        return end + 1
    if first == ord("l"):
        return end + 2 if second == ord("l") else end
    return end + 2 if first in (ord("r"), ord("v")) and second == ord("e") else end


@compiled
def _is_cut(kind: Index, after: Index) -> bool:
    """Return whether a pre-token ends between two known characters, the first no white space."""
    if kind == MARK or kind >= APOSTROPHE:
        return not (after == MARK or after >= APOSTROPHE)
    return bool(kind != after)


@compiled
def _after_white_space(
    text: Address, at: Index, stop: Index, classes: Address
) -> tuple[Index, Index, Index]:
    """Return the end of a word of white space, or `at` where it joins what follows.

    Then come the byte after the character that follows it, and the class of that.
    """
    last, kind_of_last, after, end = at, UNKNOWN, UNKNOWN, at
    width = 0
    while end < stop:
        after, width = _class_at(text, end, classes)
        if after not in (SPACE, BREAK):
            break
        last, kind_of_last = end, after
        end += width
    if end >= stop:
        return stop, stop, UNKNOWN  # at the end of a unit it is one pre-token
    if after != UNKNOWN:
        if last > at:
            return last, last, UNKNOWN  # all but the last of several
        if kind_of_last == BREAK:
            return end, end, UNKNOWN  # it joins nothing
    return at, end + width, after


@compiled
def _next_of_spaced(
    text: Address, at: Index, stop: Index, classes: Address
) -> tuple[Index, Index, Index, bool]:
    if at >= stop:
        return stop, stop, stop, False
    before, end, known = UNKNOWN, at, True
    while end < stop:
        kind, width = _class_at(text, end, classes)
        if kind == SPACE and before == LETTER and end + 1 < stop:
            after, _ = _class_at(text, end + 1, classes)
            if after == LETTER:
                return at, end, end + 1, known
        known = known and kind == LETTER
        before = kind
        end += width
    return at, stop, stop, known
