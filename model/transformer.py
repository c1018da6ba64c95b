"""The transformer that ALBERT, BERT, ELECTRA, GPT-2 and Nystromformer are shapes of.

Layers are shared by group (ALBERT, https://arxiv.org/abs/1909.11942 section 3.1): with one group
all are one, with as many groups as layers none are. In training one thing differs from Hugging
Face's ALBERT: dropout also follows the feed-forward block, as in BERT and ELECTRA.

Shapes: B rows, T places, N real tokens, M wanted ones, E embedding width, H hidden width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.cache import Cache
from model.config import ModelConfig
from model.embeddings import Embeddings
from model.initialization import initialize_weights
from model.layers import Layer
from model.linear import Linear
from model.padding import Tokens, find_tokens


class Transformer(nn.Module):
    """Token ids to hidden states.

    Args:
        config: The shape.
        embeddings: A module to share with another transformer; None = embeddings of its own.

    Attributes:
        checkpoint_layers: Keep only what goes into each layer for the backward pass, and compute
            the rest of it again there.
    """

    def __init__(self, config: ModelConfig, embeddings: Embeddings | None = None) -> None:
        super().__init__()
        self.config = config
        self.checkpoint_layers = False
        self.embeddings = Embeddings(config) if embeddings is None else embeddings
        self.projection = (
            None
            if config.embedding_size == config.hidden_size
            else Linear(config.embedding_size, config.hidden_size)
        )
        if self.projection is not None:
            initialize_weights(self.projection, config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_groups))
        self.final_norm = (
            nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
            if config.norm_first
            else None
        )

    @property
    def word_embeddings(self) -> Tensor:
        """Return the table of word embeddings (V, E), to predict tokens with."""
        return self.embeddings.word_embeddings.weight

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        wanted: Tensor | None = None,
        tokens: Tokens | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the hidden states of the last layer.

        Args:
            input_ids: Tokens (B, T).
            attention_mask: 1 = a token, 0 = padding (B, T); None = no padding.
            token_type_ids: 0 = first segment, 1 = second (B, T); None = all first.
            wanted: Which places of the flattened batch to return (M,), all of them real tokens;
                the last layer computes no others.
            tokens: What the attention mask says; None = find out.
            cache: What was kept of earlier tokens of these rows, which these ones continue, and of
                these ones from now on; then nothing may be padding.

        Returns:
            Hidden states (M, H), or of all places (B, T, H) with zeros in the padding.
        """
        if tokens is None:
            tokens = find_tokens(input_ids, attention_mask)
        states: Tensor = self.embeddings(
            input_ids, token_type_ids, tokens, 0 if cache is None else cache.length
        )
        if self.projection is not None:
            states = self.projection(states)
        last = self.config.num_hidden_layers - 1
        for index in range(last):
            states = self._apply_layer(index, states, tokens, cache=cache)
        states = self._apply_layer(last, states, tokens, wanted, cache)
        if self.final_norm is not None:
            states = self.final_norm(states)
        return tokens.unpack(states) if wanted is None else states

    def _apply_layer(
        self,
        index: int,
        states: Tensor,
        tokens: Tokens,
        wanted: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        config = self.config
        layer = self.layers[index * config.num_hidden_groups // config.num_hidden_layers]
        is_global = config.attention != "local" or index % config.global_attn_every_n_layers == 0
        kept = None if cache is None else cache.layers[index]
        arguments: tuple[Any, ...] = states, tokens, is_global, wanted, kept
        if self.checkpoint_layers and torch.is_grad_enabled():
            output: Tensor = checkpoint(layer, *arguments, use_reentrant=False)
        else:
            output = layer(*arguments)
        return output
