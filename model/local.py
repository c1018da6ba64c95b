"""Sliding-window attention: each token sees those at most `reach` away, on both sides or before it.

As in Longformer (https://arxiv.org/abs/2004.05150) and ModernBERT
(https://arxiv.org/abs/2412.13663, section 2.1.2). A row is cut into blocks of `reach` tokens; a
block's tokens see nothing outside the block, the one before it and the one after it, so time and
memory grow with T and not with its square.

Shapes: B rows, A heads, T places, K head width, S blocks, C = reach tokens of a block, W = tokens
of its neighbourhood, 3C or, where nothing after a token is seen, 2C.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def local_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    is_real: Tensor,
    reach: int,
    is_causal: bool,
    dropout: float,
) -> Tensor:
    """Return the context (B, A, T, K) of query, key and value (B, A, T, K).

    `is_real` (B, T) is False in the padding, which no other token sees. A token sees `reach` tokens
    far, and nothing after itself if `is_causal`; `dropout` is the share of attention weights to
    drop.
    """
    rows, heads, length, width = query.shape
    blocks = -(-length // reach)
    missing = blocks * reach - length
    after = 0 if is_causal else reach

    def neighbourhoods(states: Tensor) -> Tensor:  # (B, A, T, K) -> (B S, A, W, K)
        padded = F.pad(states, (0, 0, reach, missing + after))
        cut = padded.unfold(2, 2 * reach + after, reach)  # (B, A, S, K, W)
        return cut.permute(0, 2, 1, 4, 3).flatten(0, 1)

    cut_query = F.pad(query, (0, 0, 0, missing)).view(rows, heads, blocks, reach, width)
    context = F.scaled_dot_product_attention(
        cut_query.transpose(1, 2).flatten(0, 1),  # (B S, A, C, K)
        neighbourhoods(key),
        neighbourhoods(value),
        attn_mask=_visible(is_real, reach, after, missing),
        dropout_p=dropout,
    )
    context = context.reshape(rows, blocks, heads, reach, width).transpose(1, 2)
    return context.reshape(rows, heads, blocks * reach, width)[:, :, :length]


def _visible(is_real: Tensor, reach: int, after: int, missing: int) -> Tensor:
    """Return which tokens of its neighbourhood each token sees (B S, 1, C, W)."""
    token = torch.arange(reach, device=is_real.device)[:, None]
    other = torch.arange(-reach, reach + after, device=is_real.device)
    is_near = (token - other).abs() <= reach
    if not after:
        is_near = is_near & (other <= token)
    padded = F.pad(is_real, (reach, missing + after))
    cut = padded.unfold(1, 2 * reach + after, reach).flatten(0, 1)  # (B S, W)
    # A token sees itself even in the padding: with nothing to see, its gradient is not a number.
    return (is_near & cut[:, None, :] | (token == other))[:, None]
