"""What weights are before training.

LayerNorm first (GPT-2, https://openai.com/research/better-language-models section 2.3): normal, and
what each block adds to the residual stream is drawn smaller by the root of the number of blocks.
LayerNorm last (`truncated_normal_initializer` in bert's, albert's and electra's `modeling.py`):
normal, cut off at two standard deviations. Biases are 0; LayerNorms keep torch's 1 and 0.
"""

import torch
from torch import Tensor, nn

from model.config import ModelConfig

LONGEST_RATIO = 100.0
"""Of the longest sinusoid to the shortest."""


def initialize_weights(module: nn.Module, config: ModelConfig, scale: float = 1.0) -> None:
    """Draw all weights in `module` anew, `scale` times `config.initializer_range` wide."""
    deviation = scale * config.initializer_range
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding | nn.Conv2d):
            if config.norm_first:
                nn.init.normal_(part.weight, std=deviation)
            elif _holds_numbers(part.weight):
                nn.init.trunc_normal_(part.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        if isinstance(part, nn.Linear | nn.Conv2d) and part.bias is not None:
            nn.init.zeros_(part.bias)


def initialize_residual(module: nn.Linear, config: ModelConfig) -> None:
    """Draw the weights of the last product of a block, of which a layer has two."""
    scale = (2 * config.num_hidden_layers) ** -0.5 if config.norm_first else 1.0
    initialize_weights(module, config, scale)


def initialize_positions(table: nn.Embedding, config: ModelConfig) -> None:
    """Make the position table sinusoids (https://arxiv.org/abs/1706.03762, section 3.5).

    They are `config.initializer_range` high, and between 6 and 628 tokens long: there up to 62,832,
    of which most hardly change within a row of 512.
    """
    if not _holds_numbers(table.weight):
        return
    positions, width = table.weight.shape
    rates = LONGEST_RATIO ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(positions)[:, None] * rates
    waves = torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)[:, :width]
    with torch.no_grad():
        table.weight.copy_(config.initializer_range * waves)


def _holds_numbers(weight: Tensor) -> bool:
    """Return whether a weight is more than a shape: `trunc_normal_` looks at what it draws."""
    return type(weight) is nn.Parameter and not weight.is_meta
