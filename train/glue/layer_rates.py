"""Layer-wise decay of the learning rate: what lies nearer to the input learns more slowly.

The rule is ELECTRA's (https://github.com/google-research/electra, `model/optimization.py`,
`_get_layer_lrs`): embeddings and their projection have depth 0, layer i of L, from 0, has i + 1,
the head L + 2; the rate is decay ** (L + 2 - depth) times the head's. No depth is L + 1, so the
last layer has decay ** 2: the published scores were reached so
(https://github.com/google-research/electra/issues/51).

A weight that serves several layers (ALBERT), of which the rule knows nothing, gets the mean of
their factors: the rate of what an update does to the layers taken together. With no sharing that is
ELECTRA's.
"""

from typing import Any

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.transformer import Transformer
from train.config import ADAM
from train.optimizer import BETA1

SCALE = "rate_scale"
"""In a parameter group: its rate as a share of the head's."""


def layer_factors(config: ModelConfig, decay: float) -> list[float]:
    """Return the factor of each layer that has weights, the first layer first."""
    layers, groups = config.num_hidden_layers, config.num_hidden_groups
    factors: list[list[float]] = [[] for _ in range(groups)]
    for index in range(layers):
        factors[index * groups // layers].append(decay ** (layers + 1 - index))
    return [sum(of_one) / len(of_one) for of_one in factors]


def parameter_groups(
    encoder: Transformer, head: nn.Module, *, layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return all weights in as few groups as there are rates and decays; vectors do not decay."""
    config = encoder.config
    lowest = layer_decay ** (config.num_hidden_layers + 2)
    parts: list[tuple[nn.Module | None, float]] = [(encoder.embeddings, lowest)]
    parts.append((encoder.projection, lowest))
    factors = layer_factors(config, layer_decay)
    parts += zip(encoder.layers, factors, strict=True)
    parts += [(encoder.final_norm, factors[-1]), (head, 1.0)]
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for part, factor in parts:
        for weight in () if part is None else part.parameters():
            decay = weight_decay if weight.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(weight)
    return [
        {"params": weights, SCALE: factor, "weight_decay": decay}
        for (factor, decay), weights in groups.items()
    ]


def make_optimizer(
    encoder: Transformer, head: nn.Module, *, layer_decay: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW in one kernel, with ELECTRA's constants; `set_rate` before each step."""
    groups = parameter_groups(encoder, head, layer_decay=layer_decay, weight_decay=weight_decay)
    betas = (BETA1, ADAM["adam_beta2"])
    return torch.optim.AdamW(groups, betas=betas, eps=ADAM["adam_epsilon"], fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of the head, and with it those of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[SCALE]
