"""Rows to tensors for a classifier, and what its outputs stand for, for each kind of task.

Shapes: B rows, T places, M labels to be told, C outputs.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.padding import Tokens, find_tokens
from pipeline.tasks import Task
from train.glue.rows import NO_LABEL, EncodedRows


class Batch(NamedTuple):
    """What a classifier takes.

    Attributes:
        input_ids: (B, T) int64.
        token_type_ids: (B, T) int64, 0 = first text and padding, 1 = second text.
        tokens: Where the real tokens lie.
        wanted: Places in the flattened batch that a label is told of (M,) int64: the first token of
            each row, or in tagging the first token of each word.
        labels: The labels (M,), or (M, C) bool of a multi-label task.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    tokens: Tokens
    wanted: Tensor
    labels: Tensor

    def count_losses(self) -> int:
        """Return how many losses the batch has; its loss is their mean."""
        return self.labels.numel()

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; a GPU is not waited for."""
        places = self.tokens.places
        tokens = self.tokens._replace(
            is_real=_move(self.tokens.is_real, device),
            places=None if places is None else _move(places, device),
            by_length=_move(self.tokens.by_length, device),
        )
        return Batch(
            input_ids=_move(self.input_ids, device),
            token_type_ids=_move(self.token_type_ids, device),
            tokens=tokens,
            wanted=_move(self.wanted, device),
            labels=_move(self.labels, device),
        )


def to_batch(rows: EncodedRows, indices: NDArray[np.int64], pad_token_id: int) -> Batch:
    """Return the rows at `indices` as a batch on the host."""
    inputs, labels = rows.gather(indices, pad_token_id), rows.gather_labels(indices)
    tokens = find_tokens(inputs.input_ids, inputs.attention_mask)
    if rows.token_labels is None:
        count, length = inputs.input_ids.shape
        wanted = torch.arange(count) * length
    else:
        labels = labels.flatten()
        wanted = (labels != NO_LABEL).nonzero().squeeze(1)
        labels = labels[wanted]
    return Batch(inputs.input_ids, inputs.token_type_ids, tokens, wanted, labels)


def score_scale(task: Task) -> tuple[float, float]:
    """Return a and b of a regression, whose scores are a + b times an output.

    So that outputs are in 0..1 (google-research/electra, finetune/classification/
    classification_tasks.py).
    """
    low, high = task.label_range
    return low, (high - low) or 1.0


def summed_loss(task: Task, outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of a batch's losses: of outputs (M, C) against labels."""
    match task.kind:
        case "regression":
            low, width = score_scale(task)
            return F.mse_loss(outputs[:, 0], (labels - low) / width, reduction="sum")
        case "multi-label":
            return F.binary_cross_entropy_with_logits(outputs, labels.float(), reduction="sum")
        case _:
            return F.cross_entropy(outputs, labels, reduction="sum")


def told_by(task: Task, outputs: Tensor) -> NDArray[Any]:
    """Return what outputs (M, C) say: classes (M,), scores (M,), or (M, C) bool."""
    match task.kind:
        case "regression":
            low, width = score_scale(task)
            return (low + width * outputs[:, 0]).numpy()
        case "multi-label":
            return (outputs > 0).numpy()
        case _:
            return outputs.argmax(1).numpy()


def _move(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; a copy to a GPU is from pinned memory, and not waited for."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
