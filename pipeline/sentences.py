"""Where sentences begin in a document: split each paragraph, join headings to what they head.

Sentences are positions in the text, found by `sentencex` one paragraph at a time; the text itself
is never cut before it is tokenized, because that would change the ids of byte-level tokenizers.
"""

import re
from collections.abc import Iterator

import sentencex

LANGUAGE = "en"
HEADING_WORDS = 12
"""A longer line without a full stop is a paragraph that lacks one, not a heading."""
HEADING_LINES = 3
"""More heading-like lines in a row are a list or verse: each is then a sentence."""

LONG_SENTENCE = 400
"""Characters from which a sentence is searched for others inside its quotation marks."""

LONGEST_PIECE = 100_000
"""Characters given to `sentencex` at a time; its time grows with their square."""

QUOTES = "\"'\u2018\u2019\u201c\u201d"
BLANK_QUOTES = str.maketrans(dict.fromkeys(QUOTES, " "))
PLAIN_SPACES = {code: " " for code in range(0x3001) if chr(code).isspace()}
_SENTENCE_END = re.compile(r"[.!?…:;,][\"'”\u2019)\]]*$")


def paragraphs_of(text: str) -> list[str]:
    """Return the paragraphs of a document: its lines that are not blank."""
    return [line for line in text.split("\n") if line.strip()]


def sentence_starts(paragraph: str) -> list[int]:
    """Return the character at which each sentence of a paragraph begins; the first is 0.

    The space before a sentence belongs to it, as byte-level tokenizers have it, and so does an
    opening quotation mark.
    """
    starts = {0}
    for begin, end in _segments(paragraph):
        starts.add(_move_back(paragraph, begin))
        if end - begin > LONG_SENTENCE:
            # sentencex keeps a quotation in one piece, even a page of direct speech.
            unquoted = paragraph[begin:end].translate(BLANK_QUOTES)
            starts |= {_move_back(paragraph, begin + inner) for inner, _ in _segments(unquoted)}
    return sorted(starts)


def _segments(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each sentence that `sentencex` finds begins and ends; they cover the text."""
    begin = 0
    while begin < len(text):
        piece = text[begin : begin + LONGEST_PIECE]
        if begin + len(piece) < len(text):
            piece = piece[: piece.rfind(" ") + 1] or piece
        # sentencex panics on a capital letter, a space other than " ", and a full stop.
        for sentence in sentencex.segment(LANGUAGE, piece.translate(PLAIN_SPACES)):
            yield begin, begin + len(sentence)
            begin += len(sentence)


def _move_back(text: str, start: int) -> int:
    """Return `start` moved before an opening quotation mark and the white space in front of it."""
    if start > 1 and text[start - 1] in QUOTES and text[start - 2].isspace():
        start -= 1
    while start and text[start - 1].isspace():
        start -= 1
    return start


def joins_next(paragraphs: list[str]) -> list[bool]:
    """Return for each paragraph whether it is a heading, one sentence with what follows it.

    A heading has at most `HEADING_WORDS` words, no punctuation at its end, and a paragraph that is
    no heading after it, with at most `HEADING_LINES` headings in a row.
    """
    joins = [False] * len(paragraphs)
    run = 0
    for index, paragraph in enumerate(paragraphs):
        if _looks_like_heading(paragraph):
            run += 1
            continue
        if run <= HEADING_LINES:
            joins[index - run : index] = [True] * run
        run = 0
    return joins


def _looks_like_heading(paragraph: str) -> bool:
    few_words = len(paragraph.split(maxsplit=HEADING_WORDS)) <= HEADING_WORDS
    return few_words and not _SENTENCE_END.search(paragraph)
