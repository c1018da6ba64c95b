"""Cross-entropy over a vocabulary, and draws from it, without ever holding all logits.

The logits of a few rows at a time are made, scored, drawn from and turned into gradients at once,
in float32 or better, whatever the precision of the states. What is kept for the backward pass is
the gradients, as large as the states and the weights.

Shapes: M predicted tokens, E width of their features, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from model.linear import LARGE_ROUND, ROUND, product

CPU_CHUNK, GPU_CHUNK = 1 << 22, 1 << 25
"""Logits held at a time: on a CPU few enough for its cache, elsewhere enough to keep it busy."""


class Prediction(NamedTuple):
    """What a vocabulary's worth of logits per token said.

    Attributes:
        loss: Sum of cross-entropies in nats; carries the gradient.
        correct: How many of the likeliest tokens were the labels, int64 scalar.
        sampled: A draw per token (M,) int64; empty where none was asked for.
    """

    loss: Tensor
    correct: Tensor
    sampled: Tensor


def predict_vocabulary(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    *,
    vocab_size: int,
    temperature: float | None = None,
) -> Prediction:
    """Score, and draw from, logits = F.linear(features, weight, bias).

    Args:
        features: (M, E).
        weight: Word embeddings (at least V, E); rows beyond the vocabulary are never predicted.
        bias: As many numbers as `weight` has rows, or None.
        labels: (M,), below V.
        vocab_size: V.
        temperature: Draw a token per row from softmax(logits / temperature); None = draw none. No
            gradient flows through a draw.
    """
    if torch.is_autocast_enabled(features.device.type):
        features = features.to(torch.get_autocast_dtype(features.device.type))
    with_grad = torch.is_grad_enabled()
    return Prediction(
        *_PredictVocabulary.apply(
            features, weight, bias, labels, vocab_size, temperature, with_grad
        )  # type: ignore[no-untyped-call]
    )


def sample(probabilities: Tensor) -> Tensor:
    """Draw a column (M,) per row of probabilities (M, V), float32 or better, summing to 1.

    First a block of columns is drawn, then a column of it: the running sums of either are short, so
    unlikely tokens are not lost to rounding, and there are no V random numbers to make. A row that
    is not finite gives some column: that its loss is not finite either is for the trainer to see.
    """
    rows, columns = probabilities.shape
    width = int(columns**0.5) + 1
    padded = torch.nn.functional.pad(probabilities, (0, width * width - columns))
    blocks = padded.view(rows, width, width)
    block = _draw(blocks.sum(-1))
    inside = blocks.gather(1, block[:, None, None].expand(-1, 1, width)).squeeze(1)
    return (block * width + _draw(inside)).clamp(max=columns - 1)


def _draw(masses: Tensor) -> Tensor:
    """Draw a column (M,) per row of masses (M, W), each in proportion."""
    sums = masses.cumsum(-1)
    point = torch.rand_like(sums[:, :1]) * sums[:, -1:]  # below the last sum, also when rounded
    drawn = torch.searchsorted(sums, point, right=True).squeeze(1)
    return drawn.clamp(max=masses.shape[1] - 1)  # beyond where the masses are not finite


class _PredictVocabulary(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        vocab_size: int,
        temperature: float | None,
        with_grad: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        table = weight.to(features.dtype)
        predict = _predict_uncompiled if torch.compiler.is_compiling() else _predict
        loss, correct, draws, *grads = predict(
            features, table, bias, labels, vocab_size, temperature, with_grad
        )
        ctx.has_bias, ctx.grads = bias is not None, grads
        ctx.mark_non_differentiable(correct, draws)
        return loss, correct, draws

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        features, weight, bias = ctx.grads
        grad_bias = bias * grad if ctx.has_bias else None
        return features * grad, weight * grad, grad_bias, None, None, None, None


Predicted = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""Loss, correct, draws; gradients of features, table and bias: empty if not asked for."""


def _predict(
    features: Tensor,
    table: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    vocab_size: int,
    temperature: float | None,
    with_grad: bool,
) -> Predicted:
    """Score, draw and derive, a chunk of the M tokens at a time."""
    precision = torch.promote_types(features.dtype, torch.float32)
    sampled = [labels.new_empty(0)]
    grads = _Gradients(features, table, bias, precision) if with_grad else None
    loss = torch.zeros((), dtype=precision, device=features.device)
    correct = torch.zeros((), dtype=torch.long, device=features.device)
    for rows in _chunks(features, table):
        logits = _logits(features[rows], table, bias, precision)
        logits[:, vocab_size:] = -torch.inf
        label = labels[rows]
        likeliest, guess = logits.max(-1)
        probabilities = logits.softmax(-1)
        # exp(likeliest) / sum is one of the probabilities, and at least 1 / V.
        total = likeliest - probabilities.gather(1, guess[:, None]).squeeze(1).log()
        loss += (total - logits.gather(1, label[:, None]).squeeze(1)).sum()
        correct += (guess == label).sum()
        if temperature is not None:
            is_plain = temperature == 1
            drawn_from = probabilities if is_plain else (logits / temperature).softmax(-1)
            sampled.append(sample(drawn_from[:, :vocab_size]))
        if grads is not None:
            del logits
            probabilities.scatter_add_(1, label[:, None], -torch.ones_like(total)[:, None])
            grads.add(rows, probabilities, features[rows], table)
    draws = torch.cat(sampled)
    if grads is None:
        return loss, correct, draws, *_nothing(features)
    grad_bias = features.new_empty(0) if grads.bias is None else grads.bias
    return loss, correct, draws, grads.features, grads.weight, grad_bias


def _nothing(like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return three tensors without a number, each its own memory, as an operator must."""
    return like.new_empty(0), like.new_empty(0), like.new_empty(0)


@torch.library.custom_op(
    "hearth::predict_vocabulary", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def _predict_uncompiled(
    features: Tensor,
    table: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    vocab_size: int,
    temperature: float | None,
    with_grad: bool,
) -> Predicted:
    """Do what `_predict` does, for a graph: compiled, the chunks of each M would be a graph."""
    return _predict(features, table, bias, labels, vocab_size, temperature, with_grad)


@_predict_uncompiled.register_fake
def _(
    features: Tensor,
    table: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    vocab_size: int,
    temperature: float | None,
    with_grad: bool,
) -> Predicted:
    precision = torch.promote_types(features.dtype, torch.float32)
    loss, correct = features.new_empty((), dtype=precision), labels.new_empty(())
    draws = labels.new_empty(0) if temperature is None else torch.empty_like(labels)
    if not with_grad:
        return loss, correct, draws, *_nothing(features)
    grads = _Gradients(features, table, bias, precision)
    grad_bias = features.new_empty(0) if grads.bias is None else grads.bias
    return loss, correct, draws, grads.features, grads.weight, grad_bias


def _logits(
    features: Tensor, weight: Tensor, bias: Tensor | None, precision: torch.dtype
) -> Tensor:
    """Return the logits (m, V) of some tokens, multiplied in the features' precision."""
    if features.dtype == precision:
        return product(features, weight, bias)
    logits = product(features, weight, None).to(precision)
    return logits if bias is None else logits.add_(bias)


class _Gradients:
    """Gradients of the summed loss, gathered chunk by chunk."""

    def __init__(
        self, features: Tensor, table: Tensor, bias: Tensor | None, precision: torch.dtype
    ) -> None:
        self.features = torch.empty_like(features)
        self.weight = torch.zeros_like(table, dtype=precision)
        self.bias = None if bias is None else torch.zeros_like(bias, dtype=precision)

    def add(self, rows: slice, grad_logits: Tensor, features: Tensor, table: Tensor) -> None:
        """Add what the gradients (m, V) of the logits of `rows`, of features (m, E), give."""
        narrow = grad_logits.to(features.dtype)
        self.features[rows] = product(narrow, table.t(), None)
        if narrow.dtype == self.weight.dtype:
            self.weight.addmm_(narrow.t(), features)
        else:
            self.weight += narrow.t() @ features
        if self.bias is not None:
            self.bias += grad_logits.sum(0)


def _chunks(features: Tensor, weight: Tensor) -> list[slice]:
    """Return slices of the M rows whose logits are held at a time."""
    most = CPU_CHUNK if features.device.type == "cpu" else GPU_CHUNK
    step = max(1, most // len(weight))
    for size in (LARGE_ROUND, ROUND):  # sizes that oneDNN multiplies, if there is choice
        if step >= size:
            step -= step % size
    return [slice(start, start + step) for start in range(0, len(features), step)]
