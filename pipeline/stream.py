"""The layout `stream`: documents one after another, a [SEP] behind each, cut into full rows."""

import numpy as np
from numpy.typing import NDArray

from shards.format import NO_LABEL, Rows, ShardHeader


class Stream:
    """Makes rows of documents as they come; what does not fill a row waits for more.

    Args:
        header: The shards' header; its `sep_token_id` ends a document.
    """

    def __init__(self, header: ShardHeader) -> None:
        self.header = header
        self._tokens = np.empty(0, np.uint32)
        self._documents = np.empty(0, np.uint32)

    def add(
        self, input_ids: NDArray[np.uint32], ends: NDArray[np.int64], documents: NDArray[np.uint32]
    ) -> Rows:
        """Add D documents and return the rows that are full now.

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
        return self._take(len(self._tokens) // self.header.max_length)

    def rest(self) -> Rows:
        """Return the last row, padded, if there is one."""
        return self._take(1 if len(self._tokens) else 0)

    def _take(self, count: int) -> Rows:
        """Return so many rows; only the last of all may be short."""
        header = self.header
        width = header.max_length
        used = min(count * width, len(self._tokens))
        ids = np.full(count * width, header.pad_token_id, header.id_type)
        ids[:used] = self._tokens[:used]
        length = np.minimum(width, used - width * np.arange(count)).astype(np.uint16)
        documents = self._documents[:used:width].copy()
        self._tokens, self._documents = self._tokens[used:], self._documents[used:]
        return Rows(
            input_ids=ids.reshape(count, width),
            length=length,
            second_start=length.copy(),
            sentence_order_label=np.full(count, NO_LABEL, np.uint8),
            masks=np.empty((count, 0), np.uint8),
            document=documents,
        )
