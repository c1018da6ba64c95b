"""Fine-tuning: a classifier trained whole on the rows of one task, and what it then predicts.

As in pretraining, an update is that of the whole batch, however it is divided into micro-batches;
padding is not computed; and no number is fetched from a GPU but every hundred steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.tasks import Task
from shards.errors import DataError
from train.glue.batch import summed_loss, to_batch, told_by
from train.glue.buckets import sorted_batches, training_batches
from train.glue.classifier import Classifier
from train.glue.layer_rates import make_optimizer, set_rate
from train.glue.recipes import Settings, steps_of
from train.glue.rows import EncodedRows, spread
from train.optimizer import MAX_GRAD_NORM
from train.out_of_memory import free_memory, is_out_of_memory, memory_for
from train.precision import Precision, autocast
from train.schedule import learning_rate
from train.step import draw_from

LOOK_EVERY = 100
"""Steps after which a GPU is asked whether all losses were finite; a CPU is asked after each."""
SMALLER = "use --device cpu, or a smaller --max-length"
DRAWS = 0x61FE
"""Beside the seed, so that dropout does not draw the numbers that the head was drawn from."""


@dataclass(frozen=True)
class Place:
    """Where and how it is computed; see `train.glue.place.find_place`.

    Attributes:
        device: Where the classifier is.
        precision: Of the forward pass.
        micro_batch: Rows of a forward pass at most; None = all of a batch.
        say: Called where memory asks for smaller micro-batches.
    """

    device: torch.device
    precision: Precision
    micro_batch: int | None = None
    say: Callable[[str], object] = lambda _: None


CPU = Place(torch.device("cpu"), Precision("float32", "float32"))


def finetune(
    classifier: Classifier,
    task: Task,
    rows: EncodedRows,
    settings: Settings,
    seed: int,
    on_step: Callable[[], object],
    *,
    place: Place = CPU,
    on_epoch: Callable[[int], object] | None = None,
) -> None:
    """Train all weights of `classifier` on `rows`; batches and dropout are drawn from `seed`.

    Args:
        classifier: On the device of `place`.
        task: What the labels are.
        rows: Those to train on; in both orders already, where the settings want that.
        settings: As `train.glue.recipes.settings_of` returns them.
        seed: Of the batches and the dropout.
        on_step: Called after each update.
        place: Where to compute.
        on_epoch: Called after each epoch with how many are done; it may predict.

    Raises:
        DataError: The loss is no longer finite, or one row needs more memory than there is.
    """
    trainer = _Trainer(classifier, task, rows, settings, place)
    steps, step = steps_of(len(rows), settings), 0
    lengths = rows.lengths()
    draw_from(seed, DRAWS)
    for epoch in range(settings.epochs):
        classifier.train()
        for indices in training_batches(lengths, settings.batch_size, seed, epoch):
            rate = learning_rate(
                step,
                steps,
                int(settings.warmup_fraction * steps),
                settings.learning_rate,
                settings.schedule,
            )
            trainer.update(indices, rate)
            step += 1
            if trainer.is_on_cpu or step % LOOK_EVERY == 0 or step == steps:
                _check_finite(trainer, f"{task.name}, seed {seed}", settings)
            on_step()
        if on_epoch is not None:
            on_epoch(epoch + 1)


def _check_finite(trainer: "_Trainer", where: str, settings: Settings) -> None:
    bad = trainer.first_bad()
    if bad is not None:
        step, loss = bad
        problem = f"{where}, step {step}: the loss is {loss}"
        raise DataError(problem, f"lower --learning-rate {settings.learning_rate}")


class _Trainer:
    """Turns batches into updates."""

    def __init__(
        self,
        classifier: Classifier,
        task: Task,
        rows: EncodedRows,
        settings: Settings,
        place: Place,
    ) -> None:
        self.classifier, self.task, self.rows, self.place = classifier, task, rows, place
        self.pad_token_id = classifier.encoder.config.pad_token_id
        self.micro_batch = place.micro_batch
        self.is_on_cpu = place.device.type == "cpu"
        self.optimizer = make_optimizer(
            classifier.encoder,
            classifier.head,
            layer_decay=settings.layer_decay,
            weight_decay=settings.weight_decay,
        )
        self.weights = [one for group in self.optimizer.param_groups for one in group["params"]]
        device = place.device.type
        self.scaler = torch.amp.GradScaler(device, enabled=place.precision.needs_scaler)
        self.losses: list[Tensor] = []
        self.looked_at = 0

    def update(self, indices: NDArray[np.int64], rate: float) -> None:
        """Do one update; `first_bad` tells whether its loss was finite."""
        self.losses.append(self._gather(indices))
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.weights, MAX_GRAD_NORM)
        set_rate(self.optimizer, rate)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def first_bad(self) -> tuple[int, float] | None:
        """Return the first step since the last call whose loss is not finite; wait for them all."""
        first, losses = self.looked_at, torch.stack(self.losses)
        self.looked_at += len(self.losses)
        self.losses = []
        bad = (~losses.isfinite()).nonzero()
        if not len(bad):
            return None
        return first + int(bad[0]), float(losses[int(bad[0])])

    def _gather(self, indices: NDArray[np.int64]) -> Tensor:
        """Gather the gradient, and return the loss; out of memory, halve the micro-batches."""
        while True:
            size = min(self.micro_batch or len(indices), len(indices))
            try:
                return self._accumulate(indices, size)
            except (RuntimeError, MemoryError) as error:
                _check_divisible(error, size, self.rows)
            # Here the error is gone, and with it what its frames held.
            self.optimizer.zero_grad(set_to_none=True)
            self.micro_batch = _halve(size, self.place)

    def _accumulate(self, indices: NDArray[np.int64], size: int) -> Tensor:
        parts = [indices[begin : begin + size] for begin in range(0, len(indices), size)]
        batches = [to_batch(self.rows, part, self.pad_token_id) for part in parts]
        count = max(1, sum(one.count_losses() for one in batches))
        losses = []
        for batch in batches:
            here = batch.to(self.place.device)
            with autocast(self.place.precision, self.place.device):
                outputs = self.classifier(here)
            loss = summed_loss(self.task, outputs, here.labels) / count
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return torch.stack(losses).sum()


def _check_divisible(error: Exception, size: int, rows: EncodedRows) -> None:
    """Let an error through, unless it says that `size` rows at a time are too many.

    Raises:
        DataError: It says so of one row.
    """
    if not is_out_of_memory(error):
        raise error
    if size == 1:
        with memory_for(f"one row of {rows.max_length} tokens", SMALLER):
            raise error


def _halve(size: int, place: Place) -> int:
    """Return half of the rows that were too many, once their memory is free."""
    free_memory(place.device)
    place.say(f"out of memory with {size} rows in a forward pass: going on with half")
    return (size + 1) // 2


@torch.no_grad()
def predict(
    classifier: Classifier,
    task: Task,
    rows: EncodedRows,
    batch_size: int = 64,
    place: Place = CPU,
) -> NDArray[Any]:
    """Return what the classifier, left in eval mode, tells of the rows, in their order.

    Args:
        classifier: On the device of `place`.
        task: What the labels are.
        rows: Those to tell of.
        batch_size: Rows of a forward pass at most; fewer where training had fewer.
        place: Where to compute.

    Returns:
        Classes (N,) int64; scores (N,) float32 of a regression, about the task's range; in tagging
        the classes of all tokens that have a label, as `rows.labels`; (N, C) bool of multi-label.

    Raises:
        DataError: The last step has made the weights useless, or one row needs more memory than
            there is.
    """
    classifier.eval()
    size = min(batch_size, place.micro_batch or batch_size)
    while True:
        batches = sorted_batches(rows.lengths(), size)
        try:
            outputs = _outputs(classifier, rows, batches, place)
            break
        except (RuntimeError, MemoryError) as error:
            _check_divisible(error, size, rows)
        size = _halve(size, place)
    if not outputs.isfinite().all():
        raise DataError(f"{task.name}: the predictions are not finite", "lower --learning-rate")
    starts, order = rows.label_starts, np.concatenate(batches)
    told = told_by(task, outputs)
    predictions = np.empty_like(told)
    predictions[spread(starts[order], np.diff(starts)[order])] = told
    return predictions


def _outputs(
    classifier: Classifier, rows: EncodedRows, batches: list[NDArray[np.int64]], place: Place
) -> Tensor:
    """Return the outputs (M, C) of the batches, one after another, on the host."""
    pad_token_id = classifier.encoder.config.pad_token_id
    found = []
    for indices in batches:
        batch = to_batch(rows, indices, pad_token_id).to(place.device)
        with autocast(place.precision, place.device):
            found.append(classifier(batch))
    return torch.cat(found).cpu()
