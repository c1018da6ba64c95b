"""Chunks to rows: special tokens, padding, sentence-order labels and masks, as shard columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.chunks import NO_CUT, Chunks
from pipeline.compiled import compiled
from pipeline.draws import mix
from pipeline.encode import EncodedDocuments
from pipeline.masks import MAX_NGRAM, OUTSIDE, draw_masks
from shards.format import NO_LABEL, Rows, ShardHeader

_MASK_STREAMS = np.uint64(0x6D61736B)
"""Keeps the draws of masks apart from those of chunks: neither's settings change the other."""


@dataclass(frozen=True)
class NgramCounts:
    """How often each n of 1..MAX_NGRAM was drawn from the law, and was placed."""

    drawn: NDArray[np.int64]
    placed: NDArray[np.int64]


def make_rows(
    encoded: EncodedDocuments,
    chunks: Chunks,
    keys: NDArray[np.uint64],
    header: ShardHeader,
    first_document: int,
) -> tuple[Rows, NgramCounts]:
    """Build one row of each chunk.

    Args:
        encoded: The documents that the chunks are positions in.
        chunks: N chunks.
        keys: (D,) the key of each document's random draws.
        header: The shards' header.
        first_document: Number of the first of these documents among all inputs.
    """
    count = len(chunks)
    document_start = encoded.sentences[encoded.documents[chunks.document]]
    place = (chunks.start - document_start).astype(np.uint64)
    rows = Rows(
        input_ids=np.full((count, header.max_length), header.pad_token_id, header.id_type),
        length=np.zeros(count, np.uint16),
        second_start=np.zeros(count, np.uint16),
        sentence_order_label=np.where(chunks.cut == NO_CUT, NO_LABEL, chunks.is_swapped).astype(
            np.uint8
        ),
        masks=np.zeros((count, header.mask_sets * header.mask_bytes), np.uint8),
        document=(chunks.document + first_document).astype(np.uint32),
    )
    ngrams = NgramCounts(np.zeros(MAX_NGRAM, np.int64), np.zeros(MAX_NGRAM, np.int64))
    _write_rows(
        encoded.input_ids.astype(header.id_type),
        encoded.is_word_start,
        np.stack([chunks.start, chunks.stop, chunks.cut, chunks.is_swapped], axis=1),
        mix(keys[chunks.document] ^ mix(place ^ _MASK_STREAMS)),
        (header.cls_token_id, header.sep_token_id, header.mask_probability),
        (rows.input_ids, rows.length, rows.second_start),
        rows.masks.reshape(count, header.mask_sets, header.mask_bytes),
        (ngrams.drawn, ngrams.placed),
    )
    return rows, ngrams


@compiled
def _write_rows(
    tokens: NDArray[np.uint16],
    is_word_start: NDArray[np.bool_],
    chunks: NDArray[np.int64],
    keys: NDArray[np.uint64],
    constants: tuple[int, int, float],
    columns: tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]],
    masks: NDArray[np.uint8],
    ngrams: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Fill the columns row by row; `chunks` is (N, 4): start, stop, cut, is_swapped."""
    cls, sep, mask_probability = constants
    input_ids, length, second_start = columns
    width = input_ids.shape[1]
    words, segments = np.empty(width, np.int64), np.empty(width, np.int64)
    for row in range(len(chunks)):
        start, stop, cut, is_swapped = chunks[row]
        halves = ((start, stop), (stop, stop))
        if cut != NO_CUT:
            halves = ((cut, stop), (start, cut)) if is_swapped else ((start, cut), (cut, stop))
        ids = input_ids[row]
        ids[0] = cls
        end, count = 1, 0
        for segment in range(2):
            first, last = halves[segment]
            if first < last:
                end, count = _write_segment(
                    tokens[first:last],
                    is_word_start[first:last],
                    ids,
                    end,
                    words,
                    segments,
                    count,
                    segment,
                )
                ids[end - 1] = sep
            if segment == 0:
                second_start[row] = end
        length[row] = end
        budget = int(end * mask_probability + 0.5)
        stream = keys[row : row + 1].copy()
        for bits in masks[row]:
            # The last [SEP] is where the last word ends.
            draw_masks(words[:count], segments[: count - 1], budget, stream, bits, *ngrams)


@compiled
def _write_segment(
    tokens: NDArray[np.uint16],
    is_word_start: NDArray[np.bool_],
    ids: NDArray[np.uint16],
    end: int,
    words: NDArray[np.int64],
    segments: NDArray[np.int64],
    count: int,
    segment: int,
) -> tuple[int, int]:
    """Copy `tokens` to `ids` from `end` on, note their words and a place for [SEP] after them.

    Returns:
        The new `end` and the new `count` of words, the place for [SEP] included.
    """
    for token in range(len(tokens)):
        if token == 0 or is_word_start[token]:
            words[count], segments[count] = end, segment
            count += 1
        ids[end] = tokens[token]
        end += 1
    words[count], segments[count] = end, OUTSIDE
    return end + 1, count + 1
