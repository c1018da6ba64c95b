"""The feed-forward block: H -> I, activation, I -> H, dropout.

Of the two tensors of width I that the block makes, the largest of a layer, only one is kept for the
backward pass; the activation is computed again there, at a few percent of the time of the products.

Shapes: N tokens, H hidden width, I intermediate width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from model.activation import APPROXIMATIONS, gelu, gelu_backward
from model.config import ModelConfig
from model.initialization import initialize_residual, initialize_weights
from model.linear import Linear, product


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.approximate = APPROXIMATIONS[config.hidden_act]
        self.expand = Linear(config.hidden_size, config.intermediate_size)
        self.contract = Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        initialize_weights(self.expand, config)
        initialize_residual(self.contract, config)

    def forward(self, states: Tensor) -> Tensor:
        """Return what the block adds to the states (N, H)."""
        contract = self.contract
        transformed: Tensor = _ActivateAndProject.apply(
            self.expand(states), contract.weight, contract.bias, self.approximate
        )  # type: ignore[no-untyped-call]
        dropped: Tensor = self.dropout(transformed)
        return dropped


class _ActivateAndProject(torch.autograd.Function):
    """linear(gelu(x)), which remembers x alone."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        states: Tensor,
        weight: Tensor,
        bias: Tensor,
        approximate: str,
    ) -> Tensor:
        ctx.save_for_backward(states, weight)
        ctx.approximate = approximate
        return product(gelu(states, approximate), weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        states, weight = ctx.saved_tensors
        activated = gelu(states, ctx.approximate)
        grad_weight = grad.t() @ activated
        del activated
        grad_activated = product(grad, weight.t(), None)
        grad_states = gelu_backward(grad_activated, states, ctx.approximate)
        return grad_states, grad_weight, grad.sum(0), None
