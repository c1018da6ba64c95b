"""Text to ids, a block of documents at a time, with the sentences and words found on the way.

The unit is the paragraph: ids equal `Tokenizer.encode` of it. "[MASK]" typed in a text is text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.sentences import joins_next, paragraphs_of, sentence_starts
from shards.errors import DataError

BATCH_PARAGRAPHS = 2048
"""Paragraphs handed to `tokenizers` at a time: its encodings take 50 times the text's memory."""


@dataclass(frozen=True)
class EncodedDocuments:
    """Tokens of D documents in one flat array.

    Attributes:
        input_ids: (tokens,) uint32, no special tokens.
        is_word_start: (tokens,) bool, True where a word (the tokenizer's pre-token) begins.
        sentences: (sentences + 1,) int64, token at which each sentence begins; last = tokens.
        documents: (D + 1,) int64, sentence at which each document begins; last = sentences.
    """

    input_ids: NDArray[np.uint32]
    is_word_start: NDArray[np.bool_]
    sentences: NDArray[np.int64]
    documents: NDArray[np.int64]


def load_tokenizer(path: Path, remedy: str = "run `python cli.py tokenize` first") -> Tokenizer:
    """Load a tokenizer.json so that a text is encoded whole, as text: special tokens in it too.

    Raises:
        DataError: The file is missing or not a tokenizer; its remedy is `remedy`.
    """
    if not path.is_file():
        raise DataError(f"no tokenizer at {path}", remedy)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises bare Exception
        raise DataError(f"{path} is not a tokenizer ({error})", remedy) from error
    # Not saved in the file, so it must be set after every load.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encode_documents(tokenizer: Tokenizer, texts: Sequence[str]) -> EncodedDocuments:
    """Tokenize documents and find their words and sentences."""
    documents = [paragraphs_of(text) for text in texts]
    paragraphs = [paragraph for document in documents for paragraph in document]
    ids, word_starts, sentences = _encode_paragraphs(tokenizer, paragraphs)
    paragraph_starts = _starts([len(paragraph) for paragraph in ids])
    document_starts = paragraph_starts[_starts([len(document) for document in documents])]

    starts = np.concatenate(
        [cuts + start for cuts, start in zip(sentences, paragraph_starts, strict=False)]
        or [np.empty(0, np.int64)]
    )
    is_heading = np.array([join for document in documents for join in joins_next(document)], bool)
    is_heading &= np.diff(paragraph_starts) > 0
    headed = paragraph_starts[1:][is_heading]
    starts = np.setdiff1d(starts, np.setdiff1d(headed, document_starts))
    starts = starts[starts < paragraph_starts[-1]]  # an empty paragraph at the very end
    return EncodedDocuments(
        input_ids=np.concatenate([*ids, np.empty(0, np.uint32)]),
        is_word_start=np.concatenate([*word_starts, np.empty(0, np.bool_)]),
        sentences=np.append(starts, paragraph_starts[-1]),
        documents=np.searchsorted(starts, document_starts),
    )


def _encode_paragraphs(
    tokenizer: Tokenizer, paragraphs: list[str]
) -> tuple[list[NDArray[np.uint32]], list[NDArray[np.bool_]], list[NDArray[np.int64]]]:
    """Return for each paragraph its ids, its word starts, and the tokens that begin a sentence."""
    ids, word_starts, sentences = [], [], []
    for first in range(0, len(paragraphs), BATCH_PARAGRAPHS):
        batch = paragraphs[first : first + BATCH_PARAGRAPHS]
        for paragraph, encoding in zip(
            batch, tokenizer.encode_batch(batch, add_special_tokens=False), strict=True
        ):
            ids.append(np.array(encoding.ids, np.uint32))
            words = np.array([-1, *encoding.word_ids], np.int64)
            word_starts.append(words[1:] != words[:-1])
            cuts = sentence_starts(paragraph)
            offsets = [start for start, _ in encoding.offsets] if len(cuts) > 1 else [0]
            # A token that a cut goes through stays with the sentence in which it begins.
            sentences.append(np.searchsorted(offsets, cuts).astype(np.int64))
    return ids, word_starts, sentences


def _starts(lengths: list[int]) -> NDArray[np.int64]:
    """Return where consecutive pieces of these lengths begin, and where the last one ends."""
    return np.cumsum([0, *lengths], dtype=np.int64)
