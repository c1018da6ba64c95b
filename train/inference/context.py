"""What a decoder reads to predict the next token of rows that grow by a token at a time.

Up to the trained length that is all before it, each token read once. Past it, positions are as far
as they go, so the oldest quarter is let go and the rest read again: the context is always between
three quarters of the trained length and all of it, and a token costs a reading of three more.

Shapes: B rows, T tokens so far, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.cache import Cache
from model.parts import Parts


class Context:
    """Reads rows, and keeps what it has read.

    Args:
        decoder: A causal network.
        max_length: Tokens that there will be at most, so that no more memory is taken; None = it
            is not known.
        forbidden: Tokens that never come next.
    """

    def __init__(
        self, decoder: Parts, max_length: int | None = None, forbidden: Sequence[int] = ()
    ) -> None:
        self._decoder = decoder
        self._limit = decoder.transformer.config.max_position_embeddings
        self._room = min(self._limit, max_length or self._limit)
        self._forbidden = list(forbidden)
        self._cache: Cache | None = None
        self._start = 0

    def next_logits(self, sequences: Tensor, origin: Tensor | None = None) -> Tensor:
        """Return the logits (B, V) of the token after each row, float32; -inf of the forbidden.

        Args:
            sequences: All tokens so far (B, T): one more in each row than at the last call.
            origin: Which rows of the last call (B,) the rows continue; None = the same.
        """
        start = window_start(sequences.shape[1], self._limit)
        if self._cache is None or start != self._start:
            self._cache = Cache(self._decoder.transformer.config, self._room)
            self._start = start
            unread = sequences[:, start:]
        else:
            if origin is not None:
                self._cache.reorder(origin)
            unread = sequences[:, -1:]
        rows, length = unread.shape
        last = torch.arange(1, rows + 1, device=unread.device) * length - 1
        logits = self._decoder.token_logits_at(last, unread, self._cache).float()
        logits[:, self._forbidden] = -torch.inf
        return logits


def window_start(length: int, limit: int) -> int:
    """Return the first token that is read of `length` ones, by a model of `limit` positions."""
    step = max(1, limit // 4)
    return max(0, -(-(length - limit) // step) * step)
