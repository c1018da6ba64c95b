"""Padding removed: everything but attention computes on the real tokens of a batch alone.

Shapes: B rows, T places of a row, N real tokens of all rows, M wanted ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Tokens(NamedTuple):
    """Where the real tokens of a batch lie.

    Attributes:
        is_real: (B, T) bool.
        places: Where they are in the flattened batch, in order (N,) int64; None = everywhere.
        by_length: The rows (B,) by how many they have, fewest first, int64.
        lengths: How many these have, in that order; on the host.
    """

    is_real: Tensor
    places: Tensor | None
    by_length: Tensor
    lengths: tuple[int, ...]

    def pack(self, padded: Tensor) -> Tensor:
        """Return the real tokens (N, ...) of a batch (B, T, ...)."""
        flat = padded.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return a batch (B, T, ...) of its real tokens (N, ...), with zeros in the padding."""
        if self.places is not None:
            flat = packed.new_zeros(self.is_real.numel(), *packed.shape[1:])
            packed = flat.index_copy(0, self.places, packed)
        return packed.view(*self.is_real.shape, *packed.shape[1:])

    def rank(self, wanted: Tensor) -> Tensor:
        """Return which of the N real tokens lie at the places `wanted` (M,) of the batch.

        A place in the padding gets N, so that what indexes with it fails.
        """
        if self.places is None:
            return wanted
        count = len(self.places)
        ranks = self.places.new_full((self.is_real.numel(),), count)
        ranks[self.places] = torch.arange(count, device=ranks.device)
        return ranks[wanted]

    def all_places(self) -> Tensor:
        """Return the places of all real tokens (N,)."""
        if self.places is None:
            return torch.arange(self.is_real.numel(), device=self.is_real.device)
        return self.places


def find_tokens(input_ids: Tensor, attention_mask: Tensor | None) -> Tokens:
    """Return where the real tokens of rows (B, T) lie; no mask = everywhere."""
    rows, length = input_ids.shape
    if attention_mask is None:
        is_real = torch.ones_like(input_ids, dtype=torch.bool)
        every_row = torch.arange(rows, device=input_ids.device)
        return Tokens(is_real, None, every_row, (length,) * rows)
    is_real = attention_mask.bool()
    counts, by_length = is_real.sum(1).sort(stable=True)
    lengths = tuple(counts.tolist())
    has_padding = sum(lengths) < rows * length
    places = is_real.flatten().nonzero().squeeze(1) if has_padding else None
    return Tokens(is_real, places, by_length, lengths)
