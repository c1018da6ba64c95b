"""Fine-tuning: a classification head on an encoder, trained whole on the rows of one task.

It follows ELECTRA's recipe (configure_finetuning.py of https://github.com/google-research/electra;
AdamW and its constants are those of pretraining, as there).
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig
from model.heads import ClassificationHead
from model.transformer import Transformer
from pipeline.tasks import Task
from shards.errors import DataError
from train.glue_config import GlueConfig
from train.glue_rows import EncodedRows, Inputs
from train.optimizer import MAX_GRAD_NORM, adamw
from train.schedule import learning_rate


class Classifier(nn.Module):
    """An encoder with a head that gives a logit per class, or one number for a regression."""

    def __init__(self, encoder: Transformer, head: ClassificationHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, inputs: Inputs) -> Tensor:
        """Return logits (B, labels) in float32."""
        device = next(self.parameters()).device
        rows, length = inputs.input_ids.shape
        first_tokens = self.encoder(
            inputs.input_ids.to(device),
            inputs.attention_mask.to(device),
            inputs.token_type_ids.to(device),
            wanted=torch.arange(rows, device=device) * length,
        )
        logits: Tensor = self.head(first_tokens).float()
        return logits


def make_classifier(
    config: ModelConfig, task: Task, seed: int, load: Callable[[], Transformer] | None
) -> Classifier:
    """Make a classifier whose head, and encoder if `load` is None, are drawn from `seed`.

    Args:
        config: Shape of the encoder.
        task: Says how many outputs there are.
        seed: Also seeds the dropout of the training that follows.
        load: Returns the pretrained encoder; None for a randomly initialised one.
    """
    torch.manual_seed(seed)
    head = ClassificationHead(config, max(1, len(task.labels)))
    return Classifier(Transformer(config) if load is None else load(), head)


def steps_of(rows: int, epochs: int, batch_size: int) -> int:
    """Return how many steps a training takes."""
    return epochs * math.ceil(rows / batch_size)


def finetune(
    classifier: Classifier,
    task: Task,
    rows: EncodedRows,
    config: GlueConfig,
    seed: int,
    on_step: Callable[[], object],
) -> None:
    """Train all weights of `classifier` on `rows`, in an order drawn from `seed`.

    Raises:
        DataError: The loss is no longer finite.
    """
    epochs = config.epochs_of(task.name)
    steps = steps_of(len(rows), epochs, config.batch_size)
    warmup_steps = int(config.warmup_fraction * steps)
    optimizer = adamw(classifier, config.learning_rate)
    targets = _targets(task, rows.labels)
    classifier.train()
    for step, indices in enumerate(_batches(len(rows), epochs, config.batch_size, seed)):
        inputs = rows.gather(indices, classifier.encoder.config.pad_token_id)
        loss = _loss(task, classifier(inputs), targets[indices])
        if not torch.isfinite(loss):
            problem = f"{task.name}, seed {seed}, step {step}: the loss is {loss.item()}"
            raise DataError(problem, f"lower --learning-rate {config.learning_rate}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(classifier.parameters(), MAX_GRAD_NORM)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, warmup_steps, config.learning_rate)
        optimizer.step()
        on_step()


@torch.no_grad()
def predict(classifier: Classifier, task: Task, rows: EncodedRows, batch_size: int) -> NDArray[Any]:
    """Return the class number, or the score as in the task's labels, of every row.

    Raises:
        DataError: The last step has made the weights useless.
    """
    classifier.eval()
    order = np.argsort(rows.lengths(), kind="stable")  # alike lengths together: little padding
    outputs = []
    for begin in range(0, len(rows), batch_size):
        indices = order[begin : begin + batch_size]
        logits = classifier(rows.gather(indices, classifier.encoder.config.pad_token_id))
        if not torch.isfinite(logits).all():
            raise DataError(f"{task.name}: the predictions are not finite", "lower --learning-rate")
        outputs.append((logits[:, 0] if task.is_regression else logits.argmax(1)).cpu().numpy())
    sorted_outputs = np.concatenate(outputs)
    predictions = np.empty_like(sorted_outputs)
    predictions[order] = sorted_outputs
    if task.is_regression:
        low, high = task.label_range
        predictions = low + predictions * (high - low)
    return predictions


def _batches(rows: int, epochs: int, batch_size: int, seed: int) -> Iterator[NDArray[np.int64]]:
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(rows)
        for begin in range(0, rows, batch_size):
            yield order[begin : begin + batch_size]


def _targets(task: Task, labels: NDArray[Any]) -> Tensor:
    """Return class numbers, or scores moved to 0..1 (electra, classification_tasks.py)."""
    if not task.is_regression:
        return torch.from_numpy(labels)
    low, high = task.label_range
    return torch.from_numpy((labels - low) / (high - low))


def _loss(task: Task, logits: Tensor, targets: Tensor) -> Tensor:
    targets = targets.to(logits.device)
    if task.is_regression:
        return F.mse_loss(logits[:, 0], targets)
    return F.cross_entropy(logits, targets)
