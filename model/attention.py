"""Multi-head self-attention (https://arxiv.org/abs/1706.03762), by one of three mechanisms.

A mechanism is a module that takes query, key and value (B, A, T, K), where the real tokens lie, and
whether the layer sees the whole row, and returns the context (B, A, T, K).

Shapes: B rows, T places, N real tokens, M wanted ones, H hidden width, A heads, K = H / A.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.cache import LayerCache
from model.config import ModelConfig
from model.initialization import initialize_residual, initialize_weights
from model.linear import Linear
from model.local import local_attention
from model.nystrom import NystromAttention
from model.padding import Tokens


class SoftmaxAttention(nn.Module):
    """softmax(Q K' / sqrt(K)) V, by torch's fused kernels; it has no weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = config.attention_probs_dropout_prob
        self.is_causal = config.is_decoder

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, tokens: Tokens, is_global: bool
    ) -> Tensor:
        """Return the context (B, A, T, K); padding is attended by nothing."""
        mask = None if tokens.places is None else tokens.is_real[:, None, None, :]
        before = key.shape[2] - query.shape[2]  # tokens read earlier
        if mask is not None and self.is_causal:
            seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
            own = torch.eye(query.shape[2], dtype=torch.bool, device=query.device)
            mask = mask & seen.tril() | own  # padding before a token would leave it nothing to see
        elif before and query.shape[2] > 1:
            seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
            mask = seen.tril(before)
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.is_causal and mask is None and not before,
        )


class LocalAttention(SoftmaxAttention):
    """Softmax attention within a window, but in some layers over the whole row (ModernBERT)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.reach = config.local_attention // 2

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, tokens: Tokens, is_global: bool
    ) -> Tensor:
        """Return the context (B, A, T, K); padding is attended by nothing."""
        if is_global or query.shape[2] <= self.reach + 1:
            return super().forward(query, key, value, tokens, is_global)
        dropout = self.dropout if self.training else 0.0
        return local_attention(
            query, key, value, tokens.is_real, self.reach, self.is_causal, dropout
        )


MECHANISMS = {"softmax": SoftmaxAttention, "local": LocalAttention, "nystrom": NystromAttention}


class SelfAttention(nn.Module):
    """Query, key and value in one product, the mechanism, the output product, dropout."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        self.query_key_value = Linear(config.hidden_size, 3 * config.hidden_size)
        self.mechanism = MECHANISMS[config.attention](config)
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        initialize_weights(self, config)
        initialize_residual(self.dense, config)

    def forward(
        self,
        states: Tensor,
        tokens: Tokens,
        is_global: bool,
        wanted: Tensor | None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Return what each token gathers from its row, for the tokens at the places `wanted`.

        Args:
            states: All real tokens (N, H).
            tokens: Where they lie.
            is_global: Whether the layer sees the whole row, where the mechanism knows windows.
            wanted: Places in the batch (M,); None = all real tokens.
            cache: Of earlier tokens of these rows, which are seen too; then nothing is padding.

        Returns:
            (M, H), or (N, H).
        """
        projected = tokens.unpack(self.query_key_value(states))  # (B, T, 3H)
        heads = projected.view(*tokens.is_real.shape, 3, *self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, A, T, K)
        if cache is not None:
            key, value = cache.extend(key, value)
        context = self.mechanism(query, key, value, tokens, is_global)
        context = context.transpose(1, 2).flatten(2)  # (B, T, H)
        kept = tokens.pack(context) if wanted is None else context.flatten(0, 1)[wanted]
        mixed: Tensor = self.dropout(self.dense(kept))
        return mixed
