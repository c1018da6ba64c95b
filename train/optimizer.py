"""AdamW as ELECTRA uses it (google-research/electra, model/optimization.py and Table 6)."""

import torch
from torch import nn

WEIGHT_DECAY = 0.01
EPSILON = 1e-6
MAX_GRAD_NORM = 1.0


def adamw(model: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """Return AdamW over `model`; biases and LayerNorm, the vectors, are not decayed."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, eps=EPSILON, fused=True)
