"""Padding removed: everything but attention computes on the real tokens of a batch alone.

Shapes: B rows, T places of a row, N real tokens of all rows, M wanted ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Tokens(NamedTuple):
    """Where the real tokens of a batch lie; a batch without padding has neither tensor.

    Attributes:
        rows: B.
        length: T.
        is_real: (B, T) bool.
        places: Where the real ones are in the flattened batch, in order (N,) int64.
    """

    rows: int
    length: int
    is_real: Tensor | None
    places: Tensor | None

    def pack(self, padded: Tensor) -> Tensor:
        """Return the real tokens (N, ...) of a batch (B, T, ...)."""
        flat = padded.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return a batch (B, T, ...) of its real tokens (N, ...), with zeros in the padding."""
        if self.places is not None:
            flat = packed.new_zeros(self.rows * self.length, *packed.shape[1:])
            packed = flat.index_copy(0, self.places, packed)
        return packed.view(self.rows, self.length, *packed.shape[1:])

    def rank(self, wanted: Tensor) -> Tensor:
        """Return which of the N real tokens lie at the places `wanted` (M,) of the batch.

        A place in the padding gets N, so that what indexes with it fails.
        """
        if self.places is None:
            return wanted
        count = len(self.places)
        ranks = self.places.new_full((self.rows * self.length,), count)
        ranks[self.places] = torch.arange(count, device=ranks.device)
        return ranks[wanted]

    def all_places(self, device: torch.device) -> Tensor:
        """Return the places of all real tokens (N,)."""
        if self.places is None:
            return torch.arange(self.rows * self.length, device=device)
        return self.places


def find_tokens(input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
    """Return where the real tokens of rows (B, T) lie; no mask = everywhere."""
    rows, length = input_ids.shape
    if attention_mask is None:
        return Tokens(rows, length, None, None)
    is_real = attention_mask.bool()
    places = is_real.flatten().nonzero().squeeze(1)
    if len(places) == rows * length:
        return Tokens(rows, length, None, None)
    return Tokens(rows, length, is_real, places)
