"""SpanBERT's span-boundary objective (https://arxiv.org/abs/1907.10529, section 3.2).

Each token of a masked span is predicted from the two tokens just outside the span and from its
number in it. A span is a run of masked positions. Tokens beyond the twentieth of a span have no
number and are not predicted; no more are those of a span with no token on one side, where its row
ends. They do not count.

Shapes: B rows, T places, M predicted tokens, H hidden width.
"""

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.heads import SpanBoundaryHead
from model.objectives import Score, needed, number_of, score_tokens
from model.rows import Rows
from model.spans import spans_at


class SpanBoundary(nn.Module):
    """Which token stood in a span, by what lies around it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.vocab_size = config.vocab_size
        self.head = SpanBoundaryHead(config)

    def count(self, rows: Rows) -> Tensor:
        """Return how many tokens are predicted."""
        return number_of(rows.places.told)

    def places(self, rows: Rows) -> Tensor:
        """Return the places left of each token's span, then those right of it (2M,)."""
        spans = spans_at(rows.places.told, rows.masked_positions)
        return torch.cat((spans.left, spans.right))

    def score(
        self, states: Tensor, places: Tensor, rows: Rows, word_embeddings: Tensor | None
    ) -> Score:
        """Score the tokens predicted from the states (2M, H) around their spans."""
        told = rows.places.told
        left, right = states.chunk(2)
        return score_tokens(
            self.head(left, right, spans_at(told, rows.masked_positions).number),
            told,
            rows.original_ids.flatten()[told],
            table=needed(word_embeddings),
            bias=self.head.bias,
            vocab_size=self.vocab_size,
        )
