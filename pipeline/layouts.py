"""The layouts: encoded documents to rows, for one split and length of one shard."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.chunks import (
    NO_CUT,
    PAIR_SPECIALS,
    SINGLE_SPECIALS,
    Chunks,
    fewest_rows,
    make_chunks,
)
from pipeline.config import PackConfig
from pipeline.draws import keys_of_length
from pipeline.encode import EncodedDocuments, Encoder, encode_documents
from pipeline.masks import ngram_law
from pipeline.rows import NgramCounts, make_rows
from pipeline.stream import Stream
from pipeline.words.spelling import Dropout
from shards.format import Rows, ShardHeader


class RowMaker(Protocol):
    """Makes rows of documents as they come.

    Attributes:
        header: The shards' header.
        counts: What was made so far: lines of the balance sheet.
    """

    header: ShardHeader
    counts: Counter[str]

    def make(
        self,
        encoded: EncodedDocuments,
        keys: NDArray[np.uint64],
        numbers: NDArray[np.uint32],
    ) -> Rows:
        """Return the rows that D documents complete, given their keys and numbers."""

    def rest(self) -> Rows | None:
        """Return what is left when no more documents come."""


def row_maker(header: ShardHeader, config: PackConfig, first: int) -> RowMaker:
    """Return what makes the rows of a layout; of a stream the first has `first` tokens."""
    return StreamRows(header, first) if header.layout == "stream" else SegmentRows(header, config)


def encode_for(
    config: PackConfig, encoder: Encoder, texts: list[str], dropout: Dropout
) -> EncodedDocuments:
    """Tokenize documents: by paragraph and sentence, or for a stream whole, as one sentence.

    Args:
        config: How documents become rows.
        encoder: Tokenizes.
        texts: (D,) documents.
        dropout: How words are divided anew, with a key for each document.
    """
    if config.layout != "stream":
        return encode_documents(encoder, texts, config.language, dropout)
    encoded = encoder.encode(texts, [()] * len(texts), dropout)
    is_text = np.diff(encoded.units) > 0
    return EncodedDocuments.of_flags(
        encoded.input_ids,
        encoded.flags,
        sentences=np.append(encoded.units[:-1][is_text], encoded.units[-1]),
        documents=np.append(0, np.cumsum(is_text)),
    )


@dataclass
class SegmentRows:
    """`pairs` and `segments`."""

    header: ShardHeader
    config: PackConfig
    counts: Counter[str] = field(default_factory=Counter)

    def make(
        self,
        encoded: EncodedDocuments,
        keys: NDArray[np.uint64],
        numbers: NDArray[np.uint32],
    ) -> Rows:
        """Return the rows of all these documents."""
        config = self.config
        keys = keys_of_length(keys, self.header.max_length)
        chunks = make_chunks(
            encoded,
            keys,
            self.header.max_length,
            has_order=self.header.layout == "pairs",
            short_row_probability=config.short_row_probability,
        )
        if config.mask == "tokens":
            encoded = replace(encoded, is_word_start=np.ones_like(encoded.is_word_start))
        law = ngram_law(config.mask, config.max_ngram or 1)
        rows, ngrams = make_rows(encoded, chunks, keys, self.header, numbers, law)
        self._count(encoded, chunks, rows, ngrams)
        return rows

    def rest(self) -> None:
        """Return nothing: each document's rows end with it."""

    def _count(
        self, encoded: EncodedDocuments, chunks: Chunks, rows: Rows, ngrams: NgramCounts
    ) -> None:
        """Count what was made, from the rows themselves."""
        is_pair = rows.second_start < rows.length
        specials = np.where(is_pair, PAIR_SPECIALS, SINGLE_SPECIALS)
        fewest, fewest_tokens = fewest_rows(encoded, self.header.max_length)
        self.counts.update(
            rows=len(rows),
            rows_pair=int(is_pair.sum()),
            rows_swapped=int((rows.sentence_order_label == 1).sum()),
            rows_piece=int(chunks.is_piece.sum()),
            rows_single=int(((chunks.cut == NO_CUT) & ~chunks.is_piece).sum()),
            tokens_kept=int((rows.length - specials).sum(dtype=np.int64)),
            real_tokens=int(rows.length.sum(dtype=np.int64)),
            fewest_rows=fewest,
            fewest_tokens=fewest_tokens,
            masked_tokens=int(np.bitwise_count(rows.masks).sum(dtype=np.int64)),
        )
        for n, (drawn, placed) in enumerate(zip(ngrams.drawn, ngrams.placed, strict=True), 1):
            self.counts.update({f"ngrams_drawn_{n}": int(drawn), f"ngrams_placed_{n}": int(placed)})


class StreamRows:
    """`stream`."""

    def __init__(self, header: ShardHeader, first: int) -> None:
        self.header = header
        self.counts: Counter[str] = Counter()
        self._stream = Stream(header, first)

    def make(
        self,
        encoded: EncodedDocuments,
        keys: NDArray[np.uint64],
        numbers: NDArray[np.uint32],
    ) -> Rows:
        """Return the rows that are full now; documents without tokens leave nothing in them."""
        is_there = np.diff(encoded.documents) > 0
        ends = encoded.sentences[encoded.documents[1:][is_there]]
        self.counts["documents_ended"] += len(ends)
        return self._count(self._stream.add(encoded.input_ids, ends, numbers[is_there]))

    def rest(self) -> Rows:
        """Return the last row, if it is not full."""
        rows = self._count(self._stream.rest())
        self.counts["tokens_kept"] -= self.counts.pop("documents_ended", 0)
        return rows

    def _count(self, rows: Rows) -> Rows:
        tokens = int(rows.length.sum(dtype=np.int64))
        self.counts.update(rows=len(rows), real_tokens=tokens, tokens_kept=tokens)
        return rows
