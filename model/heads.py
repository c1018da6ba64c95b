"""What stands on top of hidden states: one small module per purpose.

Shapes: N chosen tokens, R rows, E embedding width, H hidden width, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.activation import Gelu
from model.config import Activation, ModelConfig
from model.initialization import initialize_weights
from model.linear import Linear
from model.spans import LONGEST


class MaskedLanguageModelHead(nn.Module):
    """Which token stood here: dense H->E, activation, LayerNorm; a bias per word.

    The logits are F.linear(features, word embeddings, bias); the word embeddings are handed in
    where they are used, so they cannot come untied.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.embedding_size)
        self.activation = Gelu(config.hidden_act)
        self.norm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.padded_vocab_size))
        initialize_weights(self, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return features (N, E) of hidden states (N, H)."""
        features: Tensor = self.norm(self.activation(self.dense(states)))
        return features


class CausalLanguageModelHead(nn.Module):
    """Which token comes next: H->E where they differ (ALGPT2), else nothing (GPT-2); no bias."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = (
            None
            if config.hidden_size == config.embedding_size
            else Linear(config.hidden_size, config.embedding_size)
        )
        self.bias = None
        initialize_weights(self, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return features (N, E) of hidden states (N, H)."""
        return states if self.dense is None else self.dense(states)


class SpanBoundaryHead(nn.Module):
    """Which token stood here, told by the tokens just outside its span and its number in the span.

    Two dense layers, each with an activation and a LayerNorm, over both states and an embedding of
    the number (SpanBERT, https://arxiv.org/abs/1907.10529 section 3.2); the second ends in width E.
    """

    NUMBER_SIZE = 200
    """Width of that embedding (SpanBERT, appendix B)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.numbers = nn.Embedding(LONGEST, self.NUMBER_SIZE)
        self.dense = Linear(2 * width + self.NUMBER_SIZE, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.second_dense = Linear(width, config.embedding_size)
        self.second_norm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.activation = Gelu(config.hidden_act)
        self.bias = nn.Parameter(torch.zeros(config.padded_vocab_size))
        initialize_weights(self, config)

    def forward(self, left: Tensor, right: Tensor, number: Tensor) -> Tensor:
        """Return features (N, E) of states (N, H) left and right of a span and numbers (N,)."""
        inputs = torch.cat((left, right, self.numbers(number)), dim=-1)
        inner = self.norm(self.activation(self.dense(inputs)))
        features: Tensor = self.second_norm(self.activation(self.second_dense(inner)))
        return features


class SentenceOrderHead(nn.Module):
    """Are the two segments in order: tanh pooler on the first token, then two logits.

    Polarity: 0 = original order, 1 = swapped (Google's and Hugging Face's).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pooler = Linear(config.hidden_size, config.hidden_size)
        self.classifier = Linear(config.hidden_size, 2)
        initialize_weights(self, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return logits (R, 2) of the hidden states (R, H) of first tokens."""
        logits: Tensor = self.classifier(self.pooler(states).tanh())
        return logits


class ReplacedTokenHead(nn.Module):
    """Was this token replaced: dense, activation, one logit; above 0 = replaced."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.activation = Gelu(config.hidden_act)
        self.dense_prediction = Linear(config.hidden_size, 1)
        initialize_weights(self, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return logits (N,) of hidden states (N, H)."""
        logits: Tensor = self.dense_prediction(self.activation(self.dense(states)))
        return logits.squeeze(-1)


class ClassificationHead(nn.Module):
    """A label or a number per row, for fine-tuning (Hugging Face's ElectraClassificationHead).

    Args:
        config: Shape of the transformer below; its `hidden_dropout_prob` is the head's dropout.
        num_labels: Outputs; 1 for regression.
        hidden_act: The activation; None = the transformer's.
    """

    def __init__(
        self, config: ModelConfig, num_labels: int, hidden_act: Activation | None = None
    ) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.activation = Gelu(hidden_act or config.hidden_act)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.out_proj = Linear(config.hidden_size, num_labels)
        initialize_weights(self, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return logits (R, num_labels) of the hidden states (R, H) of first tokens."""
        features = self.activation(self.dense(self.dropout(states)))
        logits: Tensor = self.out_proj(self.dropout(features))
        return logits


class PooledClassificationHead(nn.Module):
    """The same by a tanh pooler, which pretraining may have trained (BERT and ALBERT)."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        self.pooler = Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = Linear(config.hidden_size, num_labels)
        initialize_weights(self, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return logits (R, num_labels) of the hidden states (R, H) of first tokens."""
        logits: Tensor = self.classifier(self.dropout(self.pooler(states).tanh()))
        return logits


class TokenClassificationHead(nn.Module):
    """A label per token: one linear layer (Hugging Face's ...ForTokenClassification)."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = Linear(config.hidden_size, num_labels)
        initialize_weights(self, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return logits (N, num_labels) of hidden states (N, H)."""
        logits: Tensor = self.classifier(self.dropout(states))
        return logits


def vocabulary_logits(
    features: Tensor, word_embeddings: Tensor, bias: Tensor | None, vocab_size: int
) -> Tensor:
    """Return logits (..., V) of features (..., E), those of padding rows of the table left out."""
    return F.linear(features, word_embeddings, bias)[..., :vocab_size]
