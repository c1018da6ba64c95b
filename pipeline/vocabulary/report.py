"""What a tokenizer does to text: rates per source, and five sentences cut into tokens."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers

from pipeline.sentences import paragraphs_of, sentence_starts
from pipeline.vocabulary.sample import Sample, SourceSample

REPORTED_TEXT = 1_000_000
"""Characters of each source that are looked at, the documents in the order in which they lie."""
SENTENCES = 5
SENTENCE_CHARACTERS = range(60, 160)
"""Sentences that say something and fit on a screen."""


def report(tokenizer: Tokenizer, unk: str, sample: Sample) -> dict[str, Any]:
    """Return rates for each source, and sentences as lists of tokens.

    A word is what stands between blanks; the unknown rate is the share of tokens.

    Args:
        tokenizer: Knows its special tokens.
        unk: The token that stands for what is unknown.
        sample: Text of every source.
    """
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.encode_special_tokens = True
    shown = {part.source.name: list(_some_paragraphs(part)) for part in sample}
    rates = {
        name: _rates(tokenizer, unk, paragraphs) for name, paragraphs in shown.items() if paragraphs
    }
    return {
        "sources": rates,
        "sentences": [
            readable_tokens(tokenizer, sentence)
            for sentence in islice(_sentences(list(shown.values())), SENTENCES)
        ],
    }


def _some_paragraphs(part: SourceSample) -> Iterator[str]:
    size = 0
    for text in part.texts():
        for paragraph in paragraphs_of(text):
            if size >= REPORTED_TEXT:
                return
            size += len(paragraph)
            yield paragraph


def _rates(tokenizer: Tokenizer, unk: str, paragraphs: Sequence[str]) -> dict[str, float]:
    words = characters = tokens = unknown = 0
    unk_id = tokenizer.get_vocab()[unk]
    for first in range(0, len(paragraphs), 1000):
        batch = list(paragraphs[first : first + 1000])
        words += sum(len(paragraph.split()) for paragraph in batch)
        characters += sum(map(len, batch))
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            tokens += len(encoding.ids)
            unknown += encoding.ids.count(unk_id)
    return {
        "characters": characters,
        "tokens_per_word": round(tokens / words, 4),
        "characters_per_token": round(characters / max(1, tokens), 4),
        "unknown_rate": round(unknown / max(1, tokens), 6),
    }


def _sentences(sources: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield fitting sentences of each source in turn, one of a paragraph."""
    turns = [_fitting(paragraphs) for paragraphs in sources]
    while turns:
        for turn in list(turns):
            sentence = next(turn, None)
            if sentence is None:
                turns.remove(turn)
            else:
                yield sentence


def _fitting(paragraphs: Sequence[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        starts = [*sentence_starts(paragraph), len(paragraph)]
        sentences = (paragraph[first:last].strip() for first, last in pairwise(starts))
        yield from islice((one for one in sentences if len(one) in SENTENCE_CHARACTERS), 1)


def readable_tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return the tokens of a text, bytes of GPT-2's alphabet shown as what they stand for."""
    tokens: list[str] = tokenizer.encode(text, add_special_tokens=False).tokens
    if not isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        return tokens
    return [tokenizer.decoder.decode([token]) for token in tokens]
