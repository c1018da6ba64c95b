"""Linear layers by the fastest product that the device has.

In float32 on a CPU, torch multiplies with MKL, which on AMD's cores is a tenth to a fifth slower
than oneDNN, that torch has too but uses for other types only. So there the products with the
weights go to oneDNN by the operator that torch's own compiler calls. It is private: where it is
missing, or does not do what it did, and everywhere else, this is `nn.Linear`.

oneDNN compiles code for each shape that it meets, half a MiB a time, and keeps that of the last
thousand. So it gets the products whose N comes again: of full rows and of chunks of a vocabulary,
told by their round N. Where N differs from batch to batch, MKL multiplies; rounding N up, with junk
in the rest, gains nothing there. The rule looks at N alone and not at what came before, so that a
resumed run multiplies as an unbroken one does.

Shapes: N tokens, I width in, O width out.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROUND, LARGE_ROUND = 64, 512
"""Divides the N of a product by oneDNN, below LARGE_ROUND and from there on. ELECTRA-small compiles
24 shapes of 0.56 MiB for each such N."""


def find_product() -> Callable[..., Tensor] | None:
    """Return oneDNN's product if torch has it."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    found: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    return found


def is_product(operator: Callable[..., Tensor] | None) -> bool:
    """Return whether an operator multiplies as `F.linear` does, with a bias and without."""
    if operator is None:
        return False
    states, weight = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3) - 5
    try:
        return all(
            torch.equal(
                operator(states, weight, bias, "none", [], ""), F.linear(states, weight, bias)
            )
            for bias in (None, torch.arange(4.0))
        )
    except (RuntimeError, TypeError):  # another signature, or no kernel for this CPU
        return False


HAS_ONEDNN = is_product(find_product())


class Linear(nn.Linear):
    """`nn.Linear` over tokens (N, I)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, O)."""
        if not may_use_onednn(input):
            return super().forward(input)
        output: Tensor = _Linear.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return output


def may_use_onednn(states: Tensor) -> bool:
    """Return whether oneDNN multiplies tokens (N, I)."""
    return (
        HAS_ONEDNN
        and not torch.compiler.is_compiling()  # its code chooses by itself
        and type(states) is Tensor
        and states.device.type == "cpu"
        and states.dtype == torch.float32
        and states.dim() == 2
        and len(states) > 0
        and len(states) % (ROUND if len(states) < LARGE_ROUND else LARGE_ROUND) == 0
        and bool(torch.backends.mkldnn.enabled)
        and not torch.is_autocast_enabled("cpu")
    )


def product(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return states (N, I) times weight (O, I) plus bias (O,): (N, O); without a graph."""
    if not may_use_onednn(states):
        return F.linear(states, weight.to(states.dtype), bias)
    output: Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return output


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(states, weight)
        ctx.has_bias = bias is not None
        return product(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        states, weight = ctx.saved_tensors
        grad_states = product(grad, weight.t(), None) if ctx.needs_input_grad[0] else None
        grad_weight = grad.t() @ states if ctx.needs_input_grad[1] else None
        return grad_states, grad_weight, grad.sum(0) if ctx.has_bias else None
