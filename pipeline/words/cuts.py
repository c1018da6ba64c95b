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

from pipeline.compiled import Index, compiled, inlined

WORDS, BYTES, SPACED = 0, 1, 2

UNKNOWN, SPACE, LETTER, MARK, NUMBER, BREAK, APOSTROPHE = 0, 1, 2, 3, 4, 5, 6
"""Classes of characters. WORDS has SPACE (any white space), LETTER and MARK; BYTES has SPACE
(U+0020 alone), BREAK (other white space), LETTER, NUMBER, MARK and APOSTROPHE (U+0027); SPACED has
SPACE (U+0020 alone) and LETTER (anything simple)."""

PLANE = 1 << 16
"""Characters whose class is kept: beyond there are emoji and rare scripts, all UNKNOWN."""

Bytes = NDArray[np.uint8]


@inlined
def _class_at(text: Bytes, at: Index, classes: Bytes) -> tuple[Index, Index]:
    """Return the class and the width in bytes of the character at `at`."""
    byte = np.int64(text[at])
    if byte < 0x80:
        return np.int64(classes[byte]), 1
    if byte < 0xE0:
        return np.int64(classes[(byte & 0x1F) << 6 | np.int64(text[at + 1]) & 0x3F]), 2
    if byte < 0xF0:
        middle, last = np.int64(text[at + 1]) & 0x3F, np.int64(text[at + 2]) & 0x3F
        return np.int64(classes[(byte & 0x0F) << 12 | middle << 6 | last]), 3
    return UNKNOWN, 4


@inlined
def _quick_of_words(text: Bytes, at: Index, stop: Index, ascii_classes: Bytes) -> Index:
    kind = ascii_classes[text[at]]
    end = at + 1
    if kind == LETTER:
        while end < stop and ascii_classes[text[end]] == LETTER:
            end += 1
    elif kind != MARK:
        return -1
    if end < stop and ascii_classes[text[end]] == UNKNOWN:
        return -1
    return end


@inlined
def _quick_of_bytes(text: Bytes, at: Index, stop: Index, ascii_classes: Bytes) -> Index:
    kind = ascii_classes[text[at]]
    end = at + 1
    if kind == SPACE and end < stop:
        kind = ascii_classes[text[end]]
        end += 1
    if kind != LETTER and kind != MARK and kind != NUMBER:
        return -1
    while end < stop and ascii_classes[text[end]] == kind:
        end += 1
    if end < stop:
        after = ascii_classes[text[end]]
        if after == UNKNOWN or (kind == MARK and after == APOSTROPHE):
            return -1
    return end


@inlined
def quick_end(text: Bytes, at: Index, stop: Index, ascii_classes: Bytes, style: Index) -> Index:
    """Return the end of a plain word of ASCII that begins at `at`, or -1: ask `next_word`.

    `ascii_classes` (256,) has UNKNOWN for what is no ASCII. This is most words of English text,
    and with one branch a character it takes a quarter of the time.
    """
    if style == WORDS:
        return _quick_of_words(text, at, stop, ascii_classes)
    if style == BYTES:
        return _quick_of_bytes(text, at, stop, ascii_classes)
    return -1


@compiled
def next_word(
    text: Bytes, at: Index, stop: Index, classes: Bytes, style: Index
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
    text: Bytes, at: Index, stop: Index, classes: Bytes
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
    text: Bytes, at: Index, stop: Index, classes: Bytes
) -> tuple[Index, Index, Index, bool]:
    kind, width = _class_at(text, at, classes)
    end = at + width
    if kind in (SPACE, BREAK):
        cut, end, kind = _after_white_space(text, at, stop, classes)
        if cut > at:
            return at, cut, cut, True
    known = kind != UNKNOWN
    is_apostrophe = kind == APOSTROPHE  # the marks so far are a single "'"
    while end < stop:
        after, width = _class_at(text, end, classes)
        if kind == UNKNOWN or after == UNKNOWN:
            known = False
            is_apostrophe = after == APOSTROPHE
            if after in (SPACE, BREAK):
                after = UNKNOWN  # no cut beside it either
        elif _is_cut(kind, after, is_apostrophe):
            break
        else:
            known = known and (after != LETTER or kind == LETTER)  # "'x" is two pre-tokens
            is_apostrophe = False
        kind = after
        end += width
    return at, end, end, known


@compiled
def _is_cut(kind: Index, after: Index, is_apostrophe: bool) -> bool:
    """Return whether a pre-token ends between two known characters, the first no white space."""
    if kind in (MARK, APOSTROPHE):
        if after in (MARK, APOSTROPHE):
            return False
        return not (is_apostrophe and after == LETTER)  # "'s" is a pre-token
    return bool(kind != after)


@compiled
def _after_white_space(
    text: Bytes, at: Index, stop: Index, classes: Bytes
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
    text: Bytes, at: Index, stop: Index, classes: Bytes
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
