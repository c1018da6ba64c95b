"""Nystrom attention (https://arxiv.org/abs/2102.03902): a row's tokens meet through landmarks.

softmax(Q Kl') pinv(softmax(Ql Kl')) softmax(Ql K') V, plus a depth-wise convolution of V. Landmarks
are means over equal segments of a row's real tokens, so neither padding nor other rows matter. The
pseudo-inverse is found by the paper's iteration (section 3.3.2), started for each row and head
apart (the authors' code, https://github.com/mlpen/Nystromformer, starts from a maximum over the
batch). A row with no more tokens than landmarks is not approximated: it gets softmax attention.

Shapes: B rows, A heads, T places, K head width, L landmarks.
"""

from bisect import bisect_right

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig
from model.padding import Tokens

ITERATIONS = 6
"""Of the pseudo-inverse (the authors' `attention_nystrom.py`)."""


class NystromAttention(nn.Module):
    """The mechanism and its convolution; attention weights are never held."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_landmarks = config.num_landmarks
        heads, width = config.num_attention_heads, config.conv_kernel_size
        self.conv = (
            nn.Conv2d(heads, heads, (width, 1), padding=(width // 2, 0), groups=heads, bias=False)
            if width
            else None
        )

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, tokens: Tokens, is_global: bool
    ) -> Tensor:
        """Return the context (B, A, T, K); `value` must be 0 in the padding."""
        context = self._attend(query, key, value, tokens)
        return context if self.conv is None else context + self.conv(value)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, tokens: Tokens) -> Tensor:
        """Give each row the attention that its own length asks for."""
        is_real, by_length = tokens.is_real, tokens.by_length
        shorts = bisect_right(tokens.lengths, self.num_landmarks)
        if shorts == len(tokens.lengths):
            return _softmax_attention(query, key, value, is_real)
        if not shorts:
            return nystrom_attention(query, key, value, is_real, self.num_landmarks)
        short, long = by_length[:shorts], by_length[shorts:]
        exact = _softmax_attention(query[short], key[short], value[short], is_real[short])
        approximate = nystrom_attention(
            query[long], key[long], value[long], is_real[long], self.num_landmarks
        )
        return torch.cat((exact, approximate))[by_length.argsort()]


def nystrom_attention(
    query: Tensor, key: Tensor, value: Tensor, is_real: Tensor, num_landmarks: int
) -> Tensor:
    """Return the approximated context (B, A, T, K) of rows longer than `num_landmarks`."""
    means = segment_means(is_real, num_landmarks, query.dtype)[:, None]  # (B, 1, L, T)
    query_landmarks, key_landmarks = means @ query, means @ key  # (B, A, L, K)
    inverse = landmark_inverse(query_landmarks, key_landmarks).to(value.dtype)
    seen = F.scaled_dot_product_attention(
        query_landmarks, key, value, attn_mask=is_real[:, None, None, :]
    )
    return F.scaled_dot_product_attention(query, key_landmarks, inverse @ seen)


def landmark_inverse(query_landmarks: Tensor, key_landmarks: Tensor) -> Tensor:
    """Return the inverse (B, A, L, L) of the landmarks' attention, in float32 or better.

    Also under autocast: the iteration magnifies what bfloat16 rounds away.
    """
    precision = torch.promote_types(query_landmarks.dtype, torch.float32)
    query, key = query_landmarks.to(precision), key_landmarks.to(precision)
    with torch.autocast(query.device.type, enabled=False):
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        return pseudo_inverse(scores.softmax(-1))


def segment_means(is_real: Tensor, num_landmarks: int, dtype: torch.dtype) -> Tensor:
    """Return the weights (B, L, T) that make landmarks of tokens.

    A row's n real tokens fall into L segments of n / L, rounded; rows have n >= L.
    """
    number = is_real.cumsum(1) - 1  # of each real token in its row
    segment = number * num_landmarks // is_real.sum(1, keepdim=True)
    landmark = torch.arange(num_landmarks, device=is_real.device)[:, None]
    member = (segment[:, None, :] == landmark) & is_real[:, None, :]
    return member.to(dtype) / member.sum(2, keepdim=True)


def pseudo_inverse(matrix: Tensor) -> Tensor:
    """Return the Moore-Penrose inverse of softmax matrices (..., L, L), each on its own."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    # Rows sum to 1, so the largest column sum bounds the product of the two norms.
    inverse = matrix.transpose(-1, -2) / matrix.sum(-2).amax(-1)[..., None, None]
    for _ in range(ITERATIONS):
        product = matrix @ inverse
        inner = 7 * identity - product
        inverse = 0.25 * inverse @ (13 * identity - product @ (15 * identity - product @ inner))
    return inverse


def _softmax_attention(query: Tensor, key: Tensor, value: Tensor, is_real: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=is_real[:, None, None, :])
