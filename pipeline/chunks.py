"""Sentences to chunks: what will be a row, where it is cut in two, and whether the halves swap.

Consecutive whole sentences of one document fill a chunk up to the row's room; nothing is dropped.
Filling only forwards would make a chunk's first sentence longer than its others and tell the
sentence-order label, so each block of sentences is filled from its front or from its back by a
coin. A sentence longer than a row is cut at words into rows of one segment, with no label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled
from pipeline.draws import draw_below, draw_unit
from pipeline.encode import EncodedDocuments

ONE_SEGMENT_PROBABILITY = 0.1
"""How often a chunk of `segments` stays one (google-research/electra,
build_pretraining_dataset.py)."""
BLOCK_SENTENCES = 256
PAIR_SPECIALS = 3
"""[CLS] A [SEP] B [SEP]"""
SINGLE_SPECIALS = 2
"""[CLS] A [SEP]"""

NO_CUT = -1


@dataclass(frozen=True)
class Chunks:
    """N chunks over the flat tokens of some documents.

    Attributes:
        start, stop: (N,) int64, tokens [start, stop).
        cut: (N,) int64, token at which the second half begins, or -1 for one segment.
        is_swapped: (N,) bool, the second half comes first in the row.
        is_piece: (N,) bool, part of a sentence too long for a row.
        document: (N,) int64, index of the document among those given.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    cut: NDArray[np.int64]
    is_swapped: NDArray[np.bool_]
    is_piece: NDArray[np.bool_]
    document: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)


def make_chunks(
    encoded: EncodedDocuments,
    keys: NDArray[np.uint64],
    max_length: int,
    *,
    has_order: bool,
    short_row_probability: float,
) -> Chunks:
    """Cut documents into chunks for rows of `max_length` tokens.

    Args:
        encoded: D documents.
        keys: (D,) the key of each document's random draws.
        max_length: Width of a row, special tokens included.
        has_order: Whether a chunk is cut anywhere and its halves may swap (`pairs`); else it is
            cut near its middle and they never do (`segments`).
        short_row_probability: How often a chunk gets a random smaller target.
    """
    room = max_length - SINGLE_SPECIALS
    # A chunk holds a sentence or is a piece, and two neighbouring pieces are longer than a row.
    capacity = len(encoded.sentences) + 2 * len(encoded.input_ids) // room
    table = np.empty((capacity, 6), np.int64)
    filled = _fill_documents(
        encoded.sentences,
        encoded.documents,
        encoded.is_word_start,
        keys,
        (room, short_row_probability, has_order),
        table,
    )
    start, stop, cut, is_swapped, is_piece, document = table[:filled].T
    return Chunks(start, stop, cut, is_swapped == 1, is_piece == 1, document)


@compiled
def _fill_documents(
    sentences: NDArray[np.int64],
    documents: NDArray[np.int64],
    is_word_start: NDArray[np.bool_],
    keys: NDArray[np.uint64],
    rules: tuple[int, float, bool],
    table: NDArray[np.int64],
) -> int:
    """Fill `table` with the chunks of all documents in order; return how many.

    `rules` are the room of a row, how often it is short, and whether it has an order.
    """
    filled, room = 0, rules[0]
    for document in range(len(documents) - 1):
        stream = keys[document : document + 1].copy()
        first, last = documents[document], documents[document + 1]
        while first < last:
            start, stop = sentences[first], sentences[first + 1]
            if stop - start > room:
                filled = _cut_sentence(start, stop, is_word_start, room, document, table, filled)
                first += 1
                continue
            end = first
            while (
                end < last
                and end - first < BLOCK_SENTENCES
                and sentences[end + 1] - sentences[end] <= room
            ):
                end += 1
            filled = _fill_block(sentences, first, end, rules, stream, document, table, filled)
            first = end
    return filled


@compiled
def _cut_sentence(
    start: int,
    stop: int,
    is_word_start: NDArray[np.bool_],
    room: int,
    document: int,
    table: NDArray[np.int64],
    filled: int,
) -> int:
    """Add the pieces of a sentence too long for a row, cut at words where there are any."""
    while start < stop:
        end = min(start + room, stop)
        if end < stop:
            while end > start and not is_word_start[end]:
                end -= 1
            if end == start:  # one word longer than a row
                end = start + room
        table[filled] = (start, end, NO_CUT, 0, 1, document)
        filled += 1
        start = end
    return filled


@compiled
def _fill_block(
    sentences: NDArray[np.int64],
    first: int,
    last: int,
    rules: tuple[int, float, bool],
    stream: NDArray[np.uint64],
    document: int,
    table: NDArray[np.int64],
    filled: int,
) -> int:
    """Add the chunks of sentences `first` to `last`, filled from the front or from the back."""
    room, short_row_probability, has_order = rules
    is_forward = draw_below(stream, 2) == 1
    while first < last:
        target = room - (PAIR_SPECIALS - SINGLE_SPECIALS)
        if draw_unit(stream) < short_row_probability:
            target = 2 + draw_below(stream, target - 1)
        if is_forward:
            begin, end = first, first + 1
            while end < last and sentences[end + 1] - sentences[begin] <= target:
                end += 1
            first = end
        else:
            begin, end = last - 1, last
            while begin > first and sentences[end] - sentences[begin - 1] <= target:
                begin -= 1
            last = begin
        cut, swapped = NO_CUT, 0
        if end - begin > 1 and has_order:
            cut = sentences[begin + 1 + draw_below(stream, end - begin - 1)]
            swapped = draw_below(stream, 2)
        elif end - begin > 1 and draw_unit(stream) >= ONE_SEGMENT_PROBABILITY:
            cut = _nearest_middle(sentences[begin : end + 1])
        table[filled] = (sentences[begin], sentences[end], cut, swapped, 0, document)
        filled += 1
    return filled


@compiled
def _nearest_middle(sentences: NDArray[np.int64]) -> int:
    """Return the border between two sentences that is nearest to the middle of all."""
    middle = sentences[0] + sentences[-1]
    best: int = sentences[1]
    for border in sentences[1:-1]:
        if abs(2 * border - middle) < abs(2 * best - middle):
            best = border
    return best


def fewest_rows(encoded: EncodedDocuments, max_length: int) -> tuple[int, int]:
    """Return the fewest rows that hold all sentences whole and in order, and their most tokens.

    Filling each row as far as it goes makes the fewest. As many of them are taken to have two
    segments, and so three special tokens, as may have them in any filling. No filling is fuller:
    a row more brings three tokens and a whole row's slots.
    """
    rows, tokens = _count_fewest(encoded.sentences, encoded.documents, max_length)
    return int(rows), int(tokens)


@compiled
def _count_fewest(
    sentences: NDArray[np.int64], documents: NDArray[np.int64], width: int
) -> tuple[int, int]:
    rows, tokens = 0, sentences[-1]
    for document in range(len(documents) - 1):
        first, last = documents[document], documents[document + 1]
        few, single = 0, 0
        while first < last:
            end = first + 1
            while end < last and sentences[end + 1] - sentences[first] <= width - PAIR_SPECIALS:
                end += 1
            length = sentences[end] - sentences[first]
            pieces = max(1, -(-length // (width - SINGLE_SPECIALS)))
            few += pieces
            single += pieces if length > width - SINGLE_SPECIALS else 0
            first = end
        pairs = _most_pairs(sentences[documents[document] : last + 1], width - PAIR_SPECIALS)
        rows += few
        tokens += SINGLE_SPECIALS * few + min(few - single, pairs)
    return rows, tokens


@compiled
def _most_pairs(sentences: NDArray[np.int64], room: int) -> int:
    """Return how many rows can have two sentences or more at once."""
    pairs, first = 0, 0
    while first + 2 < len(sentences):
        fits = sentences[first + 2] - sentences[first] <= room
        pairs += fits
        first += 2 if fits else 1
    return pairs
