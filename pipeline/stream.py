"""The layout `stream`: documents one after another, a [SEP] behind each, cut into full rows."""

import numpy as np
from numpy.typing import NDArray

from pipeline.draws import draw_below, keys_of_length
from shards.format import NO_LABEL, Rows, ShardHeader, concatenate

_FIRST_ROWS = np.uint64(0x6669727374)
"""Keeps these draws apart from those of the first document."""


def first_length(max_length: int, key: NDArray[np.uint64], repetition: int) -> int:
    """Return how long the first row of a shard is: drawn, where a text comes again.

    So its rows begin elsewhere than those of the first time.

    Args:
        max_length: Width of a row.
        key: (1,) the key of the shard's first document.
        repetition: 0 where the source is packed for the first time, 1 for the second, ...
    """
    if repetition == 0:
        return max_length
    return 1 + draw_below(keys_of_length(key ^ _FIRST_ROWS, max_length), max_length - 1)


class Stream:
    """Makes rows of documents as they come; what does not fill a row waits for more.

    Args:
        header: The shards' header; its `sep_token_id` ends a document.
        first_length: Tokens of the first row, 1 to `max_length`; where it ends, all others do.
    """

    def __init__(self, header: ShardHeader, first_length: int) -> None:
        self.header = header
        self._next_length = first_length
        self._tokens = np.empty(0, np.uint32)
        self._documents = np.empty(0, np.uint32)

    def add(
        self, input_ids: NDArray[np.uint32], ends: NDArray[np.int64], documents: NDArray[np.uint32]
    ) -> Rows:
        """Add D documents, none of them empty, and return the rows that are full now.

        Args:
            input_ids: (tokens,) of all documents.
            ends: (D,) where each of them ends.
            documents: (D,) their numbers among all inputs.
        """
        lengths = np.diff(ends, prepend=0) + 1
        places = np.arange(len(input_ids)) + np.repeat(np.arange(len(ends)), lengths - 1)
        tokens = np.full(len(input_ids) + len(ends), self.header.sep_token_id, np.uint32)
        tokens[places] = input_ids
        self._tokens = np.concatenate([self._tokens, tokens])
        self._documents = np.concatenate([self._documents, np.repeat(documents, lengths)])
        width = self.header.max_length
        if self._next_length == width or len(self._tokens) < self._next_length:
            return self._take(len(self._tokens) // width, width)
        first = self._take(1, self._next_length)
        self._next_length = width
        return concatenate([first, self._take(len(self._tokens) // width, width)])

    def rest(self) -> Rows:
        """Return the last row, padded, if there is one."""
        return self._take(1 if len(self._tokens) else 0, self.header.max_length)

    def _take(self, count: int, size: int) -> Rows:
        """Return so many rows of `size` tokens; the last one has what is left."""
        header = self.header
        used = min(count * size, len(self._tokens))
        tokens = np.full(count * size, header.pad_token_id, header.id_type)
        tokens[:used] = self._tokens[:used]
        ids = np.full((count, header.max_length), header.pad_token_id, header.id_type)
        ids[:, :size] = tokens.reshape(count, size)
        length = np.minimum(size, used - size * np.arange(count)).astype(np.uint16)
        documents = self._documents[:used:size].copy()
        self._tokens, self._documents = self._tokens[used:], self._documents[used:]
        return Rows(
            input_ids=ids,
            length=length,
            second_start=length.copy(),
            sentence_order_label=np.full(count, NO_LABEL, np.uint8),
            masks=np.empty((count, 0), np.uint8),
            document=documents,
        )
