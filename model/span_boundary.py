"""SpanBERT's span-boundary objective (https://arxiv.org/abs/1907.10529, section 3.2).

Each token of a masked span is predicted from the two tokens just outside the span and from its
number in it. A span is a run of masked positions. Tokens beyond the twentieth of a span have no
number and are not predicted; no more are those of a span with no token on one side, where its row
ends. They do not count.

Shapes: B rows, T places, M predicted tokens, H hidden width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig
from model.corruption import span_starts
from model.heads import SpanBoundaryHead
from model.objectives import Score, needed, score_tokens
from model.rows import Rows


class Spans(NamedTuple):
    """Where each predicted token's span lies: flat places (M,), and the token's number in it."""

    places: Tensor
    left: Tensor
    right: Tensor
    number: Tensor


class SpanBoundary(nn.Module):
    """Which token stood in a span, by what lies around it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.vocab_size = config.vocab_size
        self.head = SpanBoundaryHead(config)

    def count(self, rows: Rows) -> Tensor:
        """Return how many tokens are predicted."""
        places = find_spans(rows.masked_positions, rows.is_real(), SpanBoundaryHead.NUMBERS).places
        return torch.full_like(places.sum(), len(places))

    def places(self, rows: Rows) -> Tensor:
        """Return the places left of each token's span, then those right of it (2M,)."""
        spans = find_spans(rows.masked_positions, rows.is_real(), SpanBoundaryHead.NUMBERS)
        return torch.cat((spans.left, spans.right))

    def score(
        self, states: Tensor, places: Tensor, rows: Rows, word_embeddings: Tensor | None
    ) -> Score:
        """Score the tokens predicted from the states (2M, H) around their spans."""
        spans = find_spans(rows.masked_positions, rows.is_real(), SpanBoundaryHead.NUMBERS)
        left, right = states.chunk(2)
        return score_tokens(
            self.head(left, right, spans.number),
            spans.places,
            rows.original_ids.flatten()[spans.places],
            table=needed(word_embeddings),
            bias=self.head.bias,
            vocab_size=self.vocab_size,
        )


def find_spans(masked_positions: Tensor, is_real: Tensor, longest: int) -> Spans:
    """Return the spans of masked positions (B, T), of each its first `longest` tokens.

    A span counts that has a real token (`is_real`, (B, T)) on either side.
    """
    length = masked_positions.shape[1]
    index = torch.arange(length, device=masked_positions.device)
    start = span_starts(masked_positions)
    end = length - 1 - span_starts(masked_positions.flip(1)).flip(1)  # last of the run
    number = index - start
    padded = F.pad(is_real, (1, 1))  # place p is at p + 1; outside the row there is nothing
    has_left = padded.gather(1, start.clamp(min=0))
    has_right = padded.gather(1, end.clamp(max=length - 1) + 2)
    is_asked = masked_positions & has_left & has_right & (number < longest)
    places = is_asked.flatten().nonzero().squeeze(1)
    row = places - places % length
    return Spans(
        places=places,
        left=row + start.flatten()[places] - 1,
        right=row + end.flatten()[places] + 1,
        number=number.flatten()[places],
    )
