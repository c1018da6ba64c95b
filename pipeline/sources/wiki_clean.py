"""Mend what `wikiextractor` leaves: the holes of dropped templates, and bits of markup."""

import html
import re
from collections import Counter

from pipeline.clean import count_cleaned, tidy

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
        count_cleaned(counts, "double-escaped entities", entities)
    for what, pattern, by in _WIKI_RESIDUE:
        text, number = pattern.subn(by, text)
        count_cleaned(counts, what, number)
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
