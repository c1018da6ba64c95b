"""A transformer encoder with factorized embeddings and layers shared by group.

It is ALBERT (https://arxiv.org/abs/1909.11942, section 3.1); with as many groups as layers it is
BERT with a projection after the embeddings. Module names are those of Hugging Face's AlbertModel.
One thing differs, in training only: dropout also follows the feed-forward block, as in BERT and
ELECTRA, where Hugging Face's ALBERT has none.

Shapes: B rows, T tokens, E embedding width, H hidden width, A heads.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig


class Embeddings(nn.Module):
    """Word + position + token type, LayerNorm, dropout; all in width E."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.embedding_size)
        self.position_embeddings = nn.Embedding(
            config.max_position_embeddings, config.embedding_size
        )
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.embedding_size)
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        initialize_weights(self, config.initializer_range)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """Return the embeddings (B, T, E).

        Raises:
            ValueError: The rows are longer than the position table.
        """
        length, longest = input_ids.shape[1], self.position_embeddings.num_embeddings
        if length > longest:
            raise ValueError(f"rows of {length} tokens; the model has {longest} positions")
        embeddings = (
            self.word_embeddings(input_ids)
            + self.position_embeddings.weight[:length]
            + self.token_type_embeddings(token_type_ids)
        )
        normalized: Tensor = self.dropout(self.LayerNorm(embeddings))
        return normalized


class SelfAttention(nn.Module):
    """Multi-head attention with its residual connection and LayerNorm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_attention_heads = config.num_attention_heads
        self.attention_dropout = config.attention_probs_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_states: Tensor, is_attended: Tensor) -> Tensor:
        """Mix tokens: (B, T, H) and a bool mask (B, 1, 1, T), True = attend, to (B, T, H)."""
        context = F.scaled_dot_product_attention(
            self._split_heads(self.query(hidden_states)),
            self._split_heads(self.key(hidden_states)),
            self._split_heads(self.value(hidden_states)),
            attn_mask=is_attended,
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        context = context.transpose(1, 2).flatten(2)  # (B, T, H)
        mixed: Tensor = self.LayerNorm(hidden_states + self.dropout(self.dense(context)))
        return mixed

    def _split_heads(self, projected: Tensor) -> Tensor:
        rows, length, _ = projected.shape
        split = projected.view(rows, length, self.num_attention_heads, -1)
        return split.transpose(1, 2)  # (B, A, T, H / A)


class Layer(nn.Module):
    """Attention, then a feed-forward block; LayerNorm after each (post-norm)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.ffn = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = activation(config)
        self.ffn_output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.full_layer_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        initialize_weights(self, config.initializer_range)

    def forward(self, hidden_states: Tensor, is_attended: Tensor) -> Tensor:
        """Apply the layer: (B, T, H) and a bool mask (B, 1, 1, T), True = attend, to (B, T, H)."""
        attended = self.attention(hidden_states, is_attended)
        transformed = self.ffn_output(self.activation(self.ffn(attended)))
        output: Tensor = self.full_layer_layer_norm(attended + self.dropout(transformed))
        return output


class Encoder(nn.Module):
    """Token ids to hidden states.

    Args:
        config: The shape.
        embeddings: A module to share with another encoder; None = embeddings of its own.
    """

    def __init__(self, config: ModelConfig, embeddings: Embeddings | None = None) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config) if embeddings is None else embeddings
        self.embedding_hidden_mapping_in = nn.Linear(config.embedding_size, config.hidden_size)
        initialize_weights(self.embedding_hidden_mapping_in, config.initializer_range)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_groups))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Return the hidden states of the last layer.

        Args:
            input_ids: Tokens (B, T).
            attention_mask: 1 = a token, 0 = padding (B, T).
            token_type_ids: 0 = first segment, 1 = second (B, T).

        Returns:
            Hidden states (B, T, H); those of padding mean nothing.
        """
        groups, layers = self.config.num_hidden_groups, self.config.num_hidden_layers
        is_attended = attention_mask.bool()[:, None, None, :]
        hidden_states: Tensor = self.embedding_hidden_mapping_in(
            self.embeddings(input_ids, token_type_ids)
        )
        for index in range(layers):
            hidden_states = self.layers[index * groups // layers](hidden_states, is_attended)
        return hidden_states


def activation(config: ModelConfig) -> nn.GELU:
    """Return the activation that `config.hidden_act` names."""
    return nn.GELU(approximate="tanh" if config.hidden_act == "gelu_new" else "none")


def initialize_weights(module: nn.Module, standard_deviation: float) -> None:
    """Draw all weights in `module` anew: normal cut off at two standard deviations, biases 0.

    Source: `truncated_normal_initializer` in albert's and electra's `modeling.py`. LayerNorms keep
    torch's weight 1 and bias 0.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(
                part.weight,
                std=standard_deviation,
                a=-2 * standard_deviation,
                b=2 * standard_deviation,
            )
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.bias)
