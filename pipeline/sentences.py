"""Where sentences begin in a document: split each paragraph, join headings to what they head.

Sentences are positions in the text, found by `sentencex` one paragraph at a time; the text itself
is never cut before it is tokenized, because that would change the ids of byte-level tokenizers.
The rules and their quality: docs/sentences.md.
"""

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
CLOSING_BRACKETS = ")]}"
_STOPS = (".", "!", "?", "…", ":", ";", ",")
_CLOSERS = "\"'”\u2019)]"
_ODD_SPACES = [space for space in map(chr, range(0x3001)) if space.isspace() and space not in " \n"]


def paragraphs_of(text: str) -> list[str]:
    """Return the paragraphs of a document: its lines that are not blank."""
    return [line for line in text.split("\n") if line and not line.isspace()]


def split_document(text: str, language: str = LANGUAGE) -> tuple[list[str], list[list[int]]]:
    """Return the paragraphs of a document, and for each where its sentences begin."""
    paragraphs = paragraphs_of(text)
    plain = _plain_spaces(text)
    same = paragraphs if plain is text else paragraphs_of(plain)
    return paragraphs, [_starts(paragraph, language) for paragraph in same]


def sentence_starts(paragraph: str, language: str = LANGUAGE) -> list[int]:
    """Return the character at which each sentence of a paragraph begins; the first is 0.

    The space before a sentence belongs to it, as byte-level tokenizers have it, and so does an
    opening quotation mark.
    """
    return _starts(_plain_spaces(paragraph), language)


def _plain_spaces(text: str) -> str:
    """Return the text with nothing but " " for spaces, and itself where it has no other.

    sentencex panics on a capital letter, a space other than " ", and a full stop.
    """
    for space in _ODD_SPACES:
        if space in text:
            text = text.replace(space, " ")
    return text


def _starts(plain: str, language: str) -> list[int]:
    """Return where the sentences of a paragraph begin, whose spaces are plain."""
    pieces = _pieces(plain, language)
    if len(pieces) == 1 and len(plain) <= LONG_SENTENCE:
        return [0]
    begin, begins = 0, []
    for piece in pieces:
        begins.append(begin)
        if len(piece) > LONG_SENTENCE:
            begins += [begin + inner for inner in _inner(piece, language)]
        begin += len(piece)
    starts = {
        _move_back(plain, begin)
        for begin in begins[1:]
        if plain[begin].isupper() or not _goes_on(plain, begin)
    }
    return [0, *sorted(starts - {0})]


def _pieces(plain: str, language: str) -> list[str]:
    """Return the sentences that `sentencex` finds; together they are the text."""
    pieces: list[str] = []
    while len(plain) > LONGEST_PIECE:
        cut = plain.rfind(" ", 0, LONGEST_PIECE) + 1 or LONGEST_PIECE
        pieces += sentencex.segment(language, plain[:cut])
        plain = plain[cut:]
    pieces += sentencex.segment(language, plain)
    return pieces


def _inner(sentence: str, language: str) -> Iterator[int]:
    """Yield where sentences begin inside one, its quotation marks overlooked.

    sentencex keeps a quotation in one piece, even a page of direct speech.
    """
    for quote in QUOTES:
        sentence = sentence.replace(quote, " ")
    begin = 0
    for piece in sentencex.segment(language, sentence)[:-1]:
        begin += len(piece)
        yield begin


def _goes_on(plain: str, begin: int) -> bool:
    """Return whether what begins here is the rest of a sentence: "Oh! what now?", "[Ibid. ]".

    Besides being wrong, such a border would tell in which order two segments stood.
    """
    first = plain[begin : begin + 4].lstrip(QUOTES + " ")[:1]
    return first.islower() or first in CLOSING_BRACKETS


def _move_back(plain: str, start: int) -> int:
    """Return `start` moved before an opening quotation mark and the spaces in front of it."""
    if plain[start - 1] in QUOTES and plain[start - 2 : start - 1] == " ":
        start -= 1
    while start and plain[start - 1] == " ":
        start -= 1
    return start


def joins_next(paragraphs: list[str]) -> list[bool]:
    """Return for each paragraph whether it, or its last sentence, is one with what follows it.

    A heading has at most `HEADING_WORDS` words and no punctuation at its end, with at most
    `HEADING_LINES` headings in a row. Those that end a document are one sentence with what stands
    before them, and with one another where nothing does.
    """
    joins = [False] * len(paragraphs)
    run = 0
    for index, paragraph in enumerate(paragraphs):
        if _looks_like_heading(paragraph):
            run += 1
            continue
        if 0 < run <= HEADING_LINES:
            joins[index - run : index] = [True] * run
        run = 0
    if 0 < run <= HEADING_LINES:
        before = max(0, len(paragraphs) - run - 1)
        joins[before:-1] = [True] * (len(paragraphs) - 1 - before)
    return joins


def _looks_like_heading(paragraph: str) -> bool:
    if paragraph.rstrip(_CLOSERS).endswith(_STOPS):
        return False
    return len(paragraph.split(maxsplit=HEADING_WORDS)) <= HEADING_WORDS
