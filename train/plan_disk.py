"""What a run's folder takes on disk."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from model.config import ElectraConfig
from model.transformer import Transformer
from train.config import Execution
from train.memory import Memory
from train.runs import ModelKind, main_shape

METRICS_LINE, EVENT = 700, 60
"""Bytes of a line of `metrics.jsonl`, and of a number in TensorBoard's events."""
EVENTS = 20
"""Numbers of a step that TensorBoard gets."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Bytes that a run leaves, and needs meanwhile.

    Attributes:
        checkpoint: One checkpoint: weights and optimizer.
        checkpoints: How many there are at most at a time: those kept, and the one being written.
        metrics: `metrics.jsonl` and TensorBoard's events.
        export: Weights of the networks for `transformers`.
    """

    checkpoint: int
    checkpoints: int
    metrics: int
    export: int

    @property
    def total(self) -> int:
        """Return the sum."""
        return self.checkpoint * self.checkpoints + self.metrics + self.export


def predict_disk(execution: Execution, steps: int, memory: Memory, exported: int) -> Disk:
    """Return what a run leaves, and needs meanwhile.

    Args:
        execution: How it is carried out.
        steps: Updates in all.
        memory: That it takes.
        exported: Weights of the export.
    """
    log_every = execution.log_every or 1
    for_good = 0 if execution.keep_every is None else steps // execution.keep_every
    written = math.ceil(steps / execution.checkpoint_every)
    return Disk(
        checkpoint=memory.weights + memory.optimizer,
        checkpoints=min(execution.keep + for_good, written) + 1,
        metrics=steps * METRICS_LINE + steps // log_every * EVENTS * EVENT,
        export=4 * exported,
    )


def count_exported(kind: ModelKind, parameters: Mapping[str, int]) -> int:
    """Return how many weights an export has.

    GPT-2's class shares no layers and has no factorized table: `model.algpt2` makes two of it.

    Args:
        kind: The networks.
        parameters: Of each of them, and "total".
    """
    shape = main_shape(kind)
    if isinstance(kind, ElectraConfig) or not shape.is_decoder:
        return sum(count for name, count in parameters.items() if name != "total")
    with torch.device("meta"):
        layers = Transformer(shape).layers
    group = sum(one.numel() for one in layers.parameters()) // shape.num_hidden_groups
    tables = 1 if shape.embedding_size == shape.hidden_size else 2
    rows = tables * shape.vocab_size + shape.max_position_embeddings + 2  # the last norm's
    return group * shape.num_hidden_layers + rows * shape.hidden_size
