"""What stands on top of an encoder: one small module per objective.

Shapes: B rows, T tokens, N chosen tokens, E embedding width, H hidden width, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig
from model.encoder import activation, initialize_weights


class MaskedLanguageModelHead(nn.Module):
    """Which token stood here: dense H->E, activation, LayerNorm, word embeddings, bias.

    The word embeddings are handed in at every call, so they cannot come untied.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.embedding_size)
        self.activation = activation(config)
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        initialize_weights(self, config.initializer_range)

    def forward(self, hidden_states: Tensor, word_embeddings: Tensor) -> Tensor:
        """Return logits (N, V) of hidden states (N, H), given word embeddings (V, E)."""
        transformed = self.LayerNorm(self.activation(self.dense(hidden_states)))
        return F.linear(transformed, word_embeddings, self.bias)


class SentenceOrderHead(nn.Module):
    """Are the two segments in order: tanh pooler on the first token, then two logits.

    Polarity: 0 = original order, 1 = swapped (Google's and Hugging Face's).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, 2)
        initialize_weights(self, config.initializer_range)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return logits (B, 2) of hidden states (B, T, H)."""
        logits: Tensor = self.classifier(self.pooler(hidden_states[:, 0]).tanh())
        return logits


class ReplacedTokenHead(nn.Module):
    """Was this token replaced: dense, activation, one logit; above 0 = replaced."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation(config)
        self.dense_prediction = nn.Linear(config.hidden_size, 1)
        initialize_weights(self, config.initializer_range)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return logits (B, T) of hidden states (B, T, H)."""
        logits: Tensor = self.dense_prediction(self.activation(self.dense(hidden_states)))
        return logits.squeeze(-1)


class ClassificationHead(nn.Module):
    """A label or a number per row, for fine-tuning (Hugging Face's ElectraClassificationHead).

    Args:
        config: Shape of the encoder below; its `hidden_dropout_prob` is the head's dropout.
        num_labels: Outputs; 1 for regression.
    """

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.out_proj = nn.Linear(config.hidden_size, num_labels)
        initialize_weights(self, config.initializer_range)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return logits (B, num_labels) of hidden states (B, T, H), read at the first token."""
        features = self.activation(self.dense(self.dropout(hidden_states[:, 0])))
        logits: Tensor = self.out_proj(self.dropout(features))
        return logits
