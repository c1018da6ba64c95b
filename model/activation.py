"""GELU (https://arxiv.org/abs/1606.08415), in the two forms that `hidden_act` names.

On a CPU torch calls oneDNN for both, which compiles code for every number of elements that it
meets, and keeps it: for the gradient 2 MB a time, up to 2 GB where padding is left out and no two
batches have the same number (torch 2.13). Torch's own kernels take as long, and none of that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

APPROXIMATIONS = {"gelu": "none", "gelu_new": "tanh"}
"""What torch calls the forms."""


class Gelu(nn.Module):
    """GELU by the name that `hidden_act` gives."""

    def __init__(self, hidden_act: str) -> None:
        super().__init__()
        self.approximate = APPROXIMATIONS[hidden_act]

    def forward(self, states: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        activated: Tensor = _Gelu.apply(states, self.approximate)  # type: ignore[no-untyped-call]
        return activated


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, approximate: str) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(states)
        ctx.approximate = approximate
        return gelu(states, approximate)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (states,) = ctx.saved_tensors
        return gelu_backward(grad, states, ctx.approximate), None


def gelu(states: Tensor, approximate: str) -> Tensor:
    """Return GELU of the states, without a graph."""
    with _torch_kernels(states):
        return F.gelu(states, approximate=approximate)


def gelu_backward(grad: Tensor, states: Tensor, approximate: str) -> Tensor:
    """Return the gradient of the states, given that of gelu(states)."""
    with _torch_kernels(states):
        gradient: Tensor = torch.ops.aten.gelu_backward(grad, states, approximate=approximate)
        return gradient


@contextmanager
def _torch_kernels(states: Tensor) -> Iterator[None]:
    """Within `with`, keep oneDNN out of what is done on a CPU; compiled code does as it likes."""
    switch: Any = torch.backends.mkldnn
    if torch.compiler.is_compiling() or states.device.type != "cpu" or not switch.enabled:
        yield
        return
    switch.enabled = False
    try:
        yield
    finally:
        switch.enabled = True
