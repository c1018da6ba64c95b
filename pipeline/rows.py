"""Chunks to rows: special tokens, padding, sentence-order labels and masks, as shard columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.chunks import NO_CUT, PAIR_SPECIALS, SINGLE_SPECIALS, Chunks
from pipeline.compiled import compiled
from pipeline.draws import mix
from pipeline.encode import EncodedDocuments
from pipeline.masks import draw_sets
from shards.format import NO_LABEL, Rows, ShardHeader, mask_budget

_MASK_STREAMS = np.uint64(0x6D61736B)
"""Keeps the draws of masks apart from those of chunks: neither's settings change the other."""


@dataclass(frozen=True)
class NgramCounts:
    """How often each n of 1, 2, ... was drawn from the law, and was placed."""

    drawn: NDArray[np.int64]
    placed: NDArray[np.int64]


def make_rows(
    encoded: EncodedDocuments,
    chunks: Chunks,
    keys: NDArray[np.uint64],
    header: ShardHeader,
    documents: NDArray[np.uint32],
    law: NDArray[np.float64],
) -> tuple[Rows, NgramCounts]:
    """Build one row of each chunk.

    Args:
        encoded: The documents that the chunks are positions in.
        chunks: N chunks.
        keys: (D,) the key of each document's random draws.
        header: The shards' header.
        documents: (D,) number of each of these documents among all inputs.
        law: Probability of masking runs of 1, 2, ... words.
    """
    count = len(chunks)
    is_pair = chunks.cut != NO_CUT
    length = chunks.stop - chunks.start + np.where(is_pair, PAIR_SPECIALS, SINGLE_SPECIALS)
    # With one segment, `cut` is where it ends.
    cut = np.where(is_pair, chunks.cut, chunks.stop)
    second_start = np.where(chunks.is_swapped, chunks.stop - cut, cut - chunks.start) + 2
    rows = Rows(
        input_ids=np.full((count, header.max_length), header.pad_token_id, header.id_type),
        length=length.astype(np.uint16),
        second_start=second_start.astype(np.uint16),
        sentence_order_label=np.where(
            is_pair & (header.layout == "pairs"), chunks.is_swapped, NO_LABEL
        ).astype(np.uint8),
        masks=np.zeros((count, header.mask_sets * header.mask_bytes), np.uint8),
        document=documents[chunks.document],
    )
    every = np.arange(count)
    rows.input_ids[:, 0] = header.cls_token_id
    rows.input_ids[every, second_start - 1] = header.sep_token_id
    rows.input_ids[every, length - 1] = header.sep_token_id

    document_start = encoded.sentences[encoded.documents[chunks.document]]
    place = (chunks.start - document_start).astype(np.uint64)
    ngrams = NgramCounts(np.zeros(len(law), np.int64), np.zeros(len(law), np.int64))
    _write_rows(
        encoded.input_ids.astype(header.id_type),
        encoded.is_word_start,
        np.stack([chunks.start, chunks.stop, cut, chunks.is_swapped], axis=1),
        mix(keys[chunks.document] ^ mix(place ^ _MASK_STREAMS)),
        mask_budget(length, header.mask_probability),
        rows.input_ids,
        rows.masks.reshape(count, header.mask_sets, header.mask_bytes),
        (law, ngrams.drawn, ngrams.placed),
    )
    return rows, ngrams


@compiled
def _write_rows(
    tokens: NDArray[np.uint16],
    is_word_start: NDArray[np.bool_],
    chunks: NDArray[np.int64],
    keys: NDArray[np.uint64],
    budgets: NDArray[np.int64],
    input_ids: NDArray[np.uint16],
    masks: NDArray[np.uint8],
    ngrams: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Fill in the segments and masks of each row.

    `chunks` is (N, 4): start, stop, cut, swapped; `ngrams` the law of runs, and what counts them.
    """
    width = input_ids.shape[1]
    words, may_cover = np.empty(width, np.int64), np.empty(width, np.bool_)
    for row in range(len(chunks)):
        start, stop, cut, is_swapped = chunks[row]
        halves = ((cut, stop), (start, cut)) if is_swapped else ((start, cut), (cut, stop))
        end, count = 1, 0
        for first, last in halves:
            if first < last:
                end, count = _write_segment(
                    tokens[first:last],
                    is_word_start[first:last],
                    input_ids[row],
                    end,
                    words,
                    may_cover,
                    count,
                )
        # The last [SEP] is where the last word ends.
        draw_sets(
            words[:count],
            may_cover[: count - 1],
            budgets[row],
            keys[row : row + 1].copy(),
            ngrams,
            masks[row],
        )


@compiled
def _write_segment(
    tokens: NDArray[np.uint16],
    is_word_start: NDArray[np.bool_],
    ids: NDArray[np.uint16],
    end: int,
    words: NDArray[np.int64],
    may_cover: NDArray[np.bool_],
    count: int,
) -> tuple[int, int]:
    """Copy `tokens` to `ids` from `end` on, note their words and a place for [SEP] after them.

    Returns:
        The new `end` and the new `count` of words, the place for [SEP] included.
    """
    for token in range(len(tokens)):
        if token == 0 or is_word_start[token]:
            words[count], may_cover[count] = end, True
            count += 1
        ids[end] = tokens[token]
        end += 1
    words[count], may_cover[count] = end, False
    return end + 1, count + 1
