"""Token ids to vectors: word + position + segment, all in width E.

ALBERT and ELECTRA, https://arxiv.org/abs/1909.11942 section 3.1: the three tables are E wide, and a
projection to H follows where E is another width. GPT-2 has neither segments nor a LayerNorm here.

Shapes: B rows, T places, N real tokens, E embedding width, H hidden width.
"""

from torch import Tensor, nn

from model.config import ModelConfig
from model.initialization import initialize_positions, initialize_weights
from model.padding import Tokens


class Embeddings(nn.Module):
    """Word + position + segment, LayerNorm unless it comes first in the layers, dropout."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.embedding_size
        self.word_embeddings = nn.Embedding(config.padded_vocab_size, width)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = (
            nn.Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        )
        self.norm = None if config.norm_first else nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.embedding_dropout_prob)
        initialize_weights(self, config)
        if config.position_initializer == "sinusoids":
            initialize_positions(self.position_embeddings, config)

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor | None, tokens: Tokens, first: int = 0
    ) -> Tensor:
        """Return the embeddings (N, E) of the real tokens of rows (B, T).

        The first place has the position `first`.

        Raises:
            ValueError: The rows are longer than the position table.
        """
        longest = self.position_embeddings.num_embeddings
        length = input_ids.shape[1]
        if first + length > longest:
            raise ValueError(f"rows of {first + length} tokens; the model has {longest} positions")
        words: Tensor = self.word_embeddings(tokens.pack(input_ids))
        positions = tokens.all_places() % length
        embeddings = words + self.position_embeddings(positions + first if first else positions)
        if self.token_type_embeddings is not None:
            if token_type_ids is None:
                embeddings = embeddings + self.token_type_embeddings.weight[0]
            else:
                embeddings = embeddings + self.token_type_embeddings(tokens.pack(token_type_ids))
        if self.norm is not None:
            embeddings = self.norm(embeddings)
        dropped: Tensor = self.dropout(embeddings)
        return dropped
