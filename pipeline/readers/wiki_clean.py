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
# A pattern that begins with a character, not with a choice or a look behind, is found many times
# faster; so the others have a sign, without which they do not match.
_EMPTY_QUOTES = re.compile(r'""(?<![^\s(]"")(?![\w"])')
_OPENING = re.compile(r"\((?:(?:[,;:] ){1,20}| )")
_EMPTY_BRACKETS = re.compile(r"\((?<!\S\()(?: |or|and)?\)")
_CLOSING = re.compile(r" ?[,;](?: ?[,;]){0,20} ?\)")
_CLOSING_SIGN = re.compile(r"\)(?:(?<=[,;]\))|(?<=[,;] \)))")
_REPEATED = re.compile(r"([,;:])(?: ?[,;]){1,20}(?=[\s.]|$)")
_REPEATED_SIGN = re.compile(r"[,;](?:(?<=[,;:].)|(?<=[,;:] .))")
_SPACE_BEFORE = re.compile(r" (?=[,.;](?:\s|$))")
_SPACE_BEFORE_SIGN = re.compile(r" [,.;]")


def repair_wiki_paragraph(text: str, counts: Counter[str]) -> str:
    """Return a paragraph of wikiextractor's without the holes that dropped templates leave.

    A paragraph in which a formula or piece of code became `formula_1` or `codice_1` is returned
    empty: a sentence with a hole teaches nothing.
    """
    if ("formula_" in text or "codice_" in text) and _PLACEHOLDER.search(text):
        counts["dropped: paragraphs with a formula or code left out"] += 1
        return ""
    if "&" in text:
        text, entities = _ENTITY.subn(lambda match: html.unescape(match[0]), text)
        count_cleaned(counts, "double-escaped entities", entities)
    for what, has_sign, pattern, by in _WIKI_RESIDUE:
        if has_sign(text):
            text, number = pattern.subn(by, text)
            if number:
                count_cleaned(counts, what, number)
                text = " ".join(text.split())
    return tidy(text, counts)


_WIKI_RESIDUE = (
    ("tags", _TAG.search, _TAG, ""),
    ("magic words", _MAGIC_WORD.search, _MAGIC_WORD, ""),
    ("list marks", _LIST_MARKS.match, _LIST_MARKS, ""),
    ("empty quotes", _EMPTY_QUOTES.search, _EMPTY_QUOTES, ""),
    ("punctuation after a bracket", _OPENING.search, _OPENING, "("),
    ("punctuation before a bracket", _CLOSING_SIGN.search, _CLOSING, ")"),
    ("empty brackets", _EMPTY_BRACKETS.search, _EMPTY_BRACKETS, ""),
    ("repeated punctuation", _REPEATED_SIGN.search, _REPEATED, r"\1"),
    ("space before punctuation", _SPACE_BEFORE_SIGN.search, _SPACE_BEFORE, ""),
)
"""What is counted, what finds a match or its sign, the pattern, and what replaces it."""
