"""Where sentences begin in a document: split each paragraph, join headings to what they head.

Sentences are positions in the text, found by `sentencex` one paragraph at a time; the text itself
is never cut before it is tokenized, because that would change the ids of byte-level tokenizers.
"""

import re
from itertools import accumulate

import sentencex

LANGUAGE = "en"
HEADING_WORDS = 12
"""A longer line without a full stop is a paragraph that lacks one, not a heading."""
HEADING_LINES = 3
"""More heading-like lines in a row are a list or verse: each is then a sentence."""

_SENTENCE_END = re.compile(r"[.!?…:;,][\"'”\u2019)\]]*$")


def paragraphs_of(text: str) -> list[str]:
    """Return the paragraphs of a document: its lines that are not blank."""
    return [line for line in text.split("\n") if line.strip()]


def sentence_starts(paragraph: str) -> list[int]:
    """Return the character at which each sentence of a paragraph begins; the first is 0.

    The space before a sentence belongs to it, as byte-level tokenizers have it.
    """
    sentences = list(sentencex.segment(LANGUAGE, paragraph))
    ends = list(accumulate(map(len, sentences)))
    # White space that ends a sentence is counted to the next one instead.
    starts = [
        end - (len(sentence) - len(sentence.rstrip()))
        for sentence, end in zip(sentences[:-1], ends, strict=False)
    ]
    return [0, *(start for start in starts if start > 0)]


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
