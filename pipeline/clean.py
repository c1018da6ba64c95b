"""Clean text: paragraphs on one line each, free of what extractors and publishers left in them.

Every pattern is linear in the length of its input: no repetition inside a repetition, and every
open-ended one is bounded.
"""

import html
import re
from collections import Counter
from collections.abc import Iterable

from pipeline.decode import newlines

_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u2060\ufeff\ufffe\uffff]")
"""Control characters that are not white space, and marks without width."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_WRAP_WIDTH = 100
"""A text none of whose lines is longer was wrapped by hand or machine."""
_SENTENCE_ENDS = (".", "!", "?", ":", '"', "'", "\N{RIGHT DOUBLE QUOTATION MARK}")
_WRAPPED_LINES = 20
"""Fewer lines tell nothing about wrapping."""


def tidy(text: str, counts: Counter[str]) -> str:
    """Return `text` on one line: single spaces, no control characters, no lone surrogates."""
    if not text.isascii() or not text.isprintable():
        text, unseen = _UNSEEN.subn("", text)
        text, surrogates = _SURROGATE.subn("\ufffd", text)
        _count(counts, "control characters", unseen)
        _count(counts, "lone surrogates", surrogates)
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
        _count(counts, "lines without blank line unwrapped", 1)
    else:
        blocks = lines
    return [tidied for block in blocks if (tidied := tidy(block, counts))]


def join(pieces: Iterable[str]) -> str:
    """Return the text of a document from its paragraphs."""
    return "\n\n".join(pieces)


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


def _count(counts: Counter[str], what: str, number: int) -> None:
    if number:
        counts[f"cleaned: {what}"] += number


# --- HTML --------------------------------------------------------------------------------------

_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)


def break_lines(text: str, counts: Counter[str]) -> str:
    """Replace `<br />` by a paragraph break."""
    if "<" not in text:
        return text
    text, breaks = _BREAK.subn("\n\n", text)
    _count(counts, "<br /> tags", breaks)
    return text


# --- what wikiextractor leaves -----------------------------------------------------------------

_PLACEHOLDER = re.compile(r"\b(?:formula|codice)_\d")
_TAG = re.compile(r"</?(?:templatestyles|section|ref|references|nowiki)\b[^<>]{0,200}>")
_MAGIC_WORD = re.compile(r"__[A-Z]{3,30}__")
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,7}|#x[0-9a-fA-F]{2,6});")
_LIST_MARKS = re.compile(r"^[*;:]{1,10} ?")
_EMPTY_QUOTES = re.compile(r'(?<![^\s(])""(?![\w"])')
_OPENING = re.compile(r"\((?:[,;:] ){1,20}|\( ")
_CLOSING = re.compile(r" ?[,;](?: ?[,;]){0,20} ?\)")
_EMPTY_BRACKETS = re.compile(r"(?<!\S)\((?: |or|and)?\)")
_REPEATED = re.compile(r"([,;:])(?: ?[,;]){1,20}(?=[\s.]|$)")
_SPACE_BEFORE = re.compile(r" (?=[,.;](?:\s|$))")


def repair_wiki_paragraph(text: str, counts: Counter[str]) -> str:
    """Return a paragraph of wikiextractor's without the holes that dropped templates leave.

    A paragraph in which a formula or piece of code became `formula_1` or `codice_1` is returned
    empty: a sentence with a hole teaches nothing.
    """
    if _PLACEHOLDER.search(text):
        counts["dropped: paragraphs with a formula or code left out"] += 1
        return ""
    if "&" in text:
        text, entities = _ENTITY.subn(lambda match: html.unescape(match[0]), text)
        _count(counts, "double-escaped entities", entities)
    for what, pattern, by in _WIKI_RESIDUE:
        text, number = pattern.subn(by, text)
        _count(counts, what, number)
        if number:
            text = " ".join(text.split())
    return tidy(text, counts)


_WIKI_RESIDUE = (
    ("tags", _TAG, ""),
    ("magic words", _MAGIC_WORD, ""),
    ("list marks", _LIST_MARKS, ""),
    ("empty quotes", _EMPTY_QUOTES, ""),
    ("punctuation after a bracket", _OPENING, "("),
    ("punctuation before a bracket", _CLOSING, ")"),
    ("empty brackets", _EMPTY_BRACKETS, ""),
    ("repeated punctuation", _REPEATED, r"\1"),
    ("space before punctuation", _SPACE_BEFORE, ""),
)


# --- Project Gutenberg -------------------------------------------------------------------------

_START = re.compile(
    r"^(?:\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]{0,300}(?:\n[^\n]{0,200}?\*{3})?|"
    r"\*END\*? ?THE SMALL PRINT![^\n]{0,300})$",
    re.MULTILINE | re.IGNORECASE,
)
_END = re.compile(
    r"^(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg)",
    re.MULTILINE | re.IGNORECASE,
)
_CREDIT = re.compile(r"(?:Produced|E-text prepared|Transcribed|Prepared) (?:by|from)\b")
_ILLUSTRATION = re.compile(r"\[Illustration[^\[\]]{0,1000}\]")
_EMPHASIS = re.compile(r"(?<![\w_])_(?=[^\s_])([^_]{1,500})_(?![\w_])")


def strip_project_gutenberg(text: str, counts: Counter[str]) -> str:
    """Return the book between Project Gutenberg's markers, or all of a text without them."""
    if "utenberg" not in text and "GUTENBERG" not in text:
        return text
    if start := _START.search(text):
        text = text[start.end() :].lstrip()
        _count(counts, "Project Gutenberg headers", 1)
        if _CREDIT.match(text):
            text = text[text.find("\n") + 1 :]
    if end := _END.search(text):
        text = text[: end.start()]
        _count(counts, "Project Gutenberg licences", 1)
    return text


def strip_book_marks(text: str, counts: Counter[str]) -> str:
    """Drop `[Illustration...]` blocks, and the underscores of `_emphasis_`."""
    text, illustrations = _ILLUSTRATION.subn("", text)
    _count(counts, "illustrations", illustrations)
    text, marks = _EMPHASIS.subn(r"\1", text)
    _count(counts, "emphasis marks", marks)
    return text


def has_letter(text: str) -> bool:
    """Return whether a paragraph holds a letter: ornaments and rows of stars do not."""
    return any(map(str.isalpha, text))
