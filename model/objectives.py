"""What a network learns: for each objective, where it is asked, and how the answers are scored.

An objective holds its head, names the places of a batch whose hidden states it needs, and turns
them into a `Score`. Sums and counts, not means: so the losses of micro-batches add up to the loss
of the whole batch.

Shapes: B rows, T places, M predicted tokens, H hidden width, V vocabulary, E embedding width.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig
from model.heads import (
    CausalLanguageModelHead,
    MaskedLanguageModelHead,
    ReplacedTokenHead,
    SentenceOrderHead,
)
from model.rows import Rows
from model.vocabulary import predict_vocabulary


class Score(NamedTuple):
    """One objective over one batch.

    Attributes:
        loss: Sum of losses in nats, float32 scalar that carries the gradient.
        targets: How many losses were summed, int64 scalar.
        correct: How many of them the likeliest answer got right, int64 scalar.
        places: Where in the flattened batch was asked (M,).
        answer: What was said there (M,), detached: the tokens drawn, where the objective draws
            any; the logits of "replaced"; else empty.
    """

    loss: Tensor
    targets: Tensor
    correct: Tensor
    places: Tensor
    answer: Tensor


class Objective(Protocol):
    """What `Network` asks of an objective, which is an `nn.Module`."""

    def count(self, rows: Rows) -> Tensor:
        """Return how many losses a batch has, int64 scalar."""
        ...

    def places(self, rows: Rows) -> Tensor:
        """Return the places of the flattened batch whose hidden states are needed (M,)."""
        ...

    def score(
        self, states: Tensor, places: Tensor, rows: Rows, word_embeddings: Tensor | None
    ) -> Score:
        """Score the hidden states (M, H) at `places` (M,)."""
        ...


class MaskedLanguageModel(nn.Module):
    """Which token stood at each masked position (BERT).

    Args:
        config: Shape of the network below.
        temperature: Also draw a token for each, for ELECTRA; None = draw none.
    """

    def __init__(self, config: ModelConfig, temperature: float | None = None) -> None:
        super().__init__()
        self.vocab_size, self.temperature = config.vocab_size, temperature
        self.head = MaskedLanguageModelHead(config)

    def count(self, rows: Rows) -> Tensor:
        """Return how many positions are masked."""
        return number_of(rows.places.masked)

    def places(self, rows: Rows) -> Tensor:
        """Return the masked positions."""
        return rows.places.masked

    def score(
        self, states: Tensor, places: Tensor, rows: Rows, word_embeddings: Tensor | None
    ) -> Score:
        """Score the tokens predicted for the states (M, H)."""
        return score_tokens(
            self.head(states),
            places,
            rows.original_ids.flatten()[places],
            table=needed(word_embeddings),
            bias=self.head.bias,
            vocab_size=self.vocab_size,
            temperature=self.temperature,
        )


class CausalLanguageModel(nn.Module):
    """Which token comes next (GPT-2); every token but a row's first is predicted."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.vocab_size = config.vocab_size
        self.head = CausalLanguageModelHead(config)

    def count(self, rows: Rows) -> Tensor:
        """Return how many tokens have one after them."""
        return number_of(rows.places.followed)

    def places(self, rows: Rows) -> Tensor:
        """Return the places of tokens that have one after them."""
        return rows.places.followed

    def score(
        self, states: Tensor, places: Tensor, rows: Rows, word_embeddings: Tensor | None
    ) -> Score:
        """Score the tokens predicted to follow the states (M, H)."""
        return score_tokens(
            self.head(states),
            places,
            rows.original_ids.flatten()[places + 1],
            table=needed(word_embeddings),
            bias=None,
            vocab_size=self.vocab_size,
        )


class SentenceOrder(nn.Module):
    """Which of two segments came first (ALBERT, https://arxiv.org/abs/1909.11942 section 3.1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head = SentenceOrderHead(config)

    def count(self, rows: Rows) -> Tensor:
        """Return how many rows have a label and a token."""
        return number_of(rows.places.ordered)

    def places(self, rows: Rows) -> Tensor:
        """Return the place of the first token of each of these rows."""
        return rows.places.ordered

    def score(
        self, states: Tensor, places: Tensor, rows: Rows, word_embeddings: Tensor | None
    ) -> Score:
        """Score the order predicted from the states (M, H) of first tokens."""
        logits = at_least_float32(self.head(states))
        labels = rows.sentence_order_label[places // rows.input_ids.shape[1]]
        return Score(
            loss=F.cross_entropy(logits, labels, reduction="sum"),
            targets=number_of(places),
            correct=(logits.argmax(-1) == labels).sum(),
            places=places,
            answer=labels.new_empty(0),
        )


class ReplacedToken(nn.Module):
    """Which tokens are not the original ones (ELECTRA, https://arxiv.org/abs/2003.10555)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head = ReplacedTokenHead(config)

    def count(self, rows: Rows) -> Tensor:
        """Return how many real tokens there are."""
        return number_of(rows.places.tokens.all_places())

    def places(self, rows: Rows) -> Tensor:
        """Return the places of real tokens."""
        return rows.places.tokens.all_places()

    def score(
        self, states: Tensor, places: Tensor, rows: Rows, word_embeddings: Tensor | None
    ) -> Score:
        """Score the verdicts on the states (M, H)."""
        return score_verdicts(self.head(states), places, rows)


def score_verdicts(logits: Tensor, places: Tensor, rows: Rows) -> Score:
    """Score the logits (M,), above 0 = replaced, at `places` (M,)."""
    is_replaced = (rows.input_ids != rows.original_ids).flatten()[places]
    logits = at_least_float32(logits)
    loss = F.binary_cross_entropy_with_logits(logits, is_replaced.to(logits.dtype), reduction="sum")
    return Score(
        loss=loss,
        targets=number_of(places),
        correct=((logits > 0) == is_replaced).sum(),
        places=places,
        answer=logits.detach(),
    )


def score_tokens(
    features: Tensor,
    places: Tensor,
    labels: Tensor,
    *,
    table: Tensor,
    bias: Tensor | None,
    vocab_size: int,
    temperature: float | None = None,
) -> Score:
    """Score the tokens that features (M, E) predict against labels (M,)."""
    prediction = predict_vocabulary(
        features, table, bias, labels, vocab_size=vocab_size, temperature=temperature
    )
    return Score(
        loss=prediction.loss,
        targets=number_of(places),
        correct=prediction.correct,
        places=places,
        answer=prediction.sampled,
    )


def number_of(places: Tensor) -> Tensor:
    """Return how many places (M,) there are, int64 scalar on their device."""
    return places.new_full((), len(places))


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return a tensor in float32, or as it is if that is better."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def needed(word_embeddings: Tensor | None) -> Tensor:
    """Return the table that an objective cannot do without.

    Raises:
        ValueError: There is none.
    """
    if word_embeddings is None:
        raise ValueError("the network gives no word embeddings, which predicting tokens needs")
    return word_embeddings
