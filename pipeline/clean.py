"""Clean text: what is true of every document, whatever its source.

- It is Unicode in the composed form NFC, decoded by the rule of `pipeline.decode`.
- A paragraph is one line; the only white space is the space, single, and the line feed.
- Control characters and marks without width are gone; a lone surrogate is U+FFFD.

What one source alone leaves in its text is mended beside that source, and exact copies of whole
documents are left out by `pipeline.copies`. Every pattern is linear in the length of its input: no
repetition inside a repetition, and every open-ended one is bounded.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from pipeline.decode import newlines

_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u2060\ufeff\ufffe\uffff]")
"""Control characters that are not white space, and marks without width."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_WRAP_WIDTH = 100
"""A text none of whose lines is longer was wrapped by hand or machine."""
_SENTENCE_ENDS = (".", "!", "?", ":", '"', "'", "\N{RIGHT DOUBLE QUOTATION MARK}")
_WRAPPED_LINES = 20
"""Fewer lines tell nothing about wrapping."""


def tidy(text: str, counts: Counter[str]) -> str:
    """Return `text` on one line: NFC, single spaces, no control characters, no lone surrogates."""
    if not text.isascii() or not text.isprintable():
        text, unseen = _UNSEEN.subn("", text)
        text, surrogates = _SURROGATE.subn("\ufffd", text)
        count_cleaned(counts, "control characters", unseen)
        count_cleaned(counts, "lone surrogates", surrogates)
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
            count_cleaned(counts, "paragraphs made NFC", 1)
    return " ".join(text.split())


def paragraphs(text: str, counts: Counter[str]) -> list[str]:
    """Return the paragraphs of `text`, each tidied, none empty.

    Blank lines separate paragraphs, and the lines of one are joined. In a text without blank lines
    each line is a paragraph, unless the text is wrapped (20 lines or more, none over 100
    characters): then a line that ends a sentence and is under 3/4 of the longest ends a paragraph.
    """
    lines = [line.strip() for line in newlines(text).strip().split("\n")]
    if "" in lines:
        blocks = _blocks(lines)
    elif len(lines) >= _WRAPPED_LINES and max(map(len, lines)) <= _WRAP_WIDTH:
        blocks = _unwrap(lines)
        count_cleaned(counts, "lines without blank line unwrapped", 1)
    else:
        blocks = lines
    return [tidied for block in blocks if (tidied := tidy(block, counts))]


def join(pieces: Iterable[str]) -> str:
    """Return the text of a document from its paragraphs."""
    return "\n\n".join(pieces)


def break_lines(text: str, counts: Counter[str]) -> str:
    """Replace `<br />` by a paragraph break."""
    if "<" not in text:
        return text
    text, breaks = _BREAK.subn("\n\n", text)
    count_cleaned(counts, "<br /> tags", breaks)
    return text


def has_letter(text: str) -> bool:
    """Return whether a paragraph holds a letter: ornaments and rows of stars do not."""
    return any(map(str.isalpha, text))


def count_cleaned(counts: Counter[str], what: str, number: int) -> None:
    """Count `number` repairs of one kind, unless there were none."""
    if number:
        counts[f"cleaned: {what}"] += number


def _blocks(lines: list[str]) -> list[str]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [" ".join(block) for block in blocks]


def _unwrap(lines: list[str]) -> list[str]:
    short = max(map(len, lines)) * 3 // 4
    blocks: list[list[str]] = [[]]
    for line in lines:
        blocks[-1].append(line)
        if len(line) < short and line.endswith(_SENTENCE_ENDS):
            blocks.append([])
    return [" ".join(block) for block in blocks]
