"""What Project Gutenberg puts around a book, and the marks it writes within one."""

import re
from collections import Counter

from pipeline.clean import count_cleaned

LARGEST_NOTICE = 50_000
"""Characters. The licence has about 19,000; a header, even with an old "small print", has fewer."""

_START = re.compile(
    r"^(?:\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]{0,300}(?:\n[^\n]{0,200}?\*{3})?|"
    r"\*END\*? ?THE SMALL PRINT![^\n]{0,300})$",
    re.MULTILINE | re.IGNORECASE,
)
_END = re.compile(
    r"^(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG|"
    r"End of (?:the |this )?Project Gutenberg(?:['\u2019]s\b| ?E-?(?:text|book)\b))[^\n]{0,300}$",
    re.MULTILINE | re.IGNORECASE,
)
_CREDIT = re.compile(r"(?:Produced|E-text prepared|Transcribed|Prepared) (?:by|from)\b[^\n]*")
_ILLUSTRATION = re.compile(r"\[Illustration[^\[\]]{0,1000}\]")
_EMPHASIS = re.compile(r"_(?<!\w_)(?=[^\s_])([^_]{1,500})_(?![\w_])")  # "_" first: found fast


def strip_project_gutenberg(text: str, counts: Counter[str]) -> str:
    """Return a text without the notices around the Project Gutenberg books in it.

    A book lies between a START and an END marker; a text may hold several, or other text besides.
    Dropped are the markers, a line of credits after START, and what lies before, between and after
    books where it names Project Gutenberg and is no longer than a notice. A START without an END,
    or an END without a START, is text like any other. The bytes dropped are counted.
    """
    if "utenberg" not in text and "GUTENBERG" not in text:
        return text
    kept = []
    done = 0
    while (start := _START.search(text, done)) and (end := _END.search(text, start.end())):
        book = text[start.end() : end.start()].lstrip()
        credit = _CREDIT.match(book)
        kept += [
            _unless_notice(text[done : start.start()]),
            book[credit.end() :] if credit else book,
        ]
        done = end.end()
    if not kept:
        return text
    rest = text[done:]
    kept.append(rest if start else _unless_notice(rest))
    count_cleaned(counts, "Project Gutenberg books", len(kept) // 2)
    counts["dropped: bytes around Project Gutenberg books"] += _size(text) - sum(map(_size, kept))
    return "\n\n".join(kept)


def strip_book_marks(text: str, counts: Counter[str]) -> str:
    """Drop `[Illustration...]` blocks, and the underscores of `_emphasis_`."""
    text, illustrations = _ILLUSTRATION.subn("", text)
    count_cleaned(counts, "illustrations", illustrations)
    text, marks = _EMPHASIS.subn(r"\1", text)
    count_cleaned(counts, "emphasis marks", marks)
    return text


def _unless_notice(text: str) -> str:
    is_notice = len(text) <= LARGEST_NOTICE and "project gutenberg" in text.lower()
    return "" if is_notice else text


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
