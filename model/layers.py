"""One transformer layer: attention, then feed-forward, each added to what went in.

Shapes: N real tokens, M wanted ones, H hidden width.
"""

from torch import Tensor, nn

from model.attention import SelfAttention
from model.cache import LayerCache
from model.config import ModelConfig
from model.feed_forward import FeedForward
from model.padding import Tokens


class Layer(nn.Module):
    """LayerNorm after each block (BERT, https://arxiv.org/abs/1810.04805) or before it (GPT-2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self,
        states: Tensor,
        tokens: Tokens,
        is_global: bool,
        wanted: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Apply the layer to the states (N, H) of all real tokens.

        Args:
            states: Hidden states.
            tokens: Where they lie.
            is_global: Whether the layer sees the whole row, where attention knows windows.
            wanted: Places in the batch (M,) to compute; None = all real tokens.
            cache: Of earlier tokens of these rows.

        Returns:
            (M, H), or (N, H).
        """
        residual = states if wanted is None else states[tokens.rank(wanted)]
        if self.norm_first:
            normed = self.attention_norm(states)
            attended = residual + self.attention(normed, tokens, is_global, wanted, cache)
            output: Tensor = attended + self.feed_forward(self.feed_forward_norm(attended))
            return output
        attended = residual + self.attention(states, tokens, is_global, wanted, cache)
        attended = self.attention_norm(attended)
        normed_output: Tensor = self.feed_forward_norm(attended + self.feed_forward(attended))
        return normed_output
