"""Runs of masked tokens: where they end, and which of their tokens can be told from outside.

Shapes: B rows, T places, S tokens that are predicted.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model.corruption import span_starts

LONGEST = 20
"""Tokens of a span that have a number (SpanBERT's code: `max_pair_targets`)."""


class Spans(NamedTuple):
    """What is around each predicted token's span: flat places (S,), and its number in the span."""

    left: Tensor
    right: Tensor
    number: Tensor


def is_told(masked_positions: Tensor, is_real: Tensor) -> Tensor:
    """Return which masked tokens (B, T) are told by what is around their span, bool.

    They are the first `LONGEST` of a span that has a real token (`is_real`, (B, T)) on either side.
    """
    start, end, number = _bounds(masked_positions)
    padded = F.pad(is_real, (1, 1))  # place p is at p + 1; outside the row there is nothing
    has_left = padded.gather(1, start.clamp(min=0))
    has_right = padded.gather(1, end.clamp(max=masked_positions.shape[1] - 1) + 2)
    return masked_positions & has_left & has_right & (number < LONGEST)


def spans_at(places: Tensor, masked_positions: Tensor) -> Spans:
    """Return the spans that masked tokens at `places` (S,) of the flattened batch lie in."""
    start, end, number = _bounds(masked_positions)
    row = places - places % masked_positions.shape[1]
    return Spans(
        left=row + start.flatten()[places] - 1,
        right=row + end.flatten()[places] + 1,
        number=number.flatten()[places],
    )


def _bounds(masked_positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return first and last place of the run around each masked place, and its number in it."""
    length = masked_positions.shape[1]
    index = torch.arange(length, device=masked_positions.device)
    start = span_starts(masked_positions)
    end = length - 1 - span_starts(masked_positions.flip(1)).flip(1)
    return start, end, index - start
