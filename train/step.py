"""One update: the gradient of a whole batch, gathered from micro-batches, and what it changes.

Every loss is divided by the number of losses of its kind in the whole batch, of all processes, and
gradients are added up: so the update is that of one large batch, however it is divided, up to draws
(dropout, replacements), which are made for each micro-batch. What a step measures stays on the
device, where nobody waits for it.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.electra import Electra
from model.flops import BatchSize
from model.language_model import LanguageModel
from shards.format import Rows, ShardHeader
from train.batch import Batch, to_batches
from train.crew import Alone, Crew
from train.out_of_memory import SMALLER, free_memory, is_out_of_memory, memory_for
from train.precision import Precision, autocast

OTHER_OPTIMIZER = "start another run with --optimizer adafactor, or with a smaller --preset"
Model = Electra | LanguageModel
Say = Callable[[str], None]


class Taken(NamedTuple):
    """The rows that a step takes, of this process.

    Attributes:
        rows: They themselves.
        epochs: The epoch that each is read in.
        header: Their shards' header.
        first: How many rows of the global batch come before them, in other processes.
        batches: Micro-batches of them on the device, if they were made already.
    """

    rows: Rows
    epochs: NDArray[np.int64]
    header: ShardHeader
    first: int
    batches: Sequence[Batch] = ()


class Measured(NamedTuple):
    """What a step measured.

    Attributes:
        numbers: Scalars on the device, over the whole batch: "loss", the mean loss and accuracy of
            each objective, "tokens" and "grad_norm", the norm before clipping.
        sizes: What there was to compute, by micro-batch.
        waited: Seconds in which micro-batches were made.
    """

    numbers: dict[str, Tensor]
    sizes: list[BatchSize]
    waited: float


class Updater:
    """Turns rows into updates of a model.

    Args:
        model: The model, on `device`.
        optimizer: Over its weights.
        precision: Of the forward pass.
        device: Where to compute.
        max_grad_norm: Gradients are clipped to it.
        micro_batch: Rows of a forward pass at most; None = all. It is halved where memory asks for
            it, and stays so: see `limit`.

    Attributes:
        scaler: Scales the loss where the precision needs it.
        most_tokens: What a halving has left of a forward pass; None: there was none.
        keep: Called with `most_tokens` where it has changed.
        crew: The processes; set it before the first update.
    """

    def __init__(
        self,
        model: Model,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        device: torch.device,
        *,
        max_grad_norm: float,
        micro_batch: int | None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.precision, self.device = precision, device
        self.max_grad_norm, self.micro_batch = max_grad_norm, micro_batch
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision.needs_scaler)
        self.crew: Crew = Alone()
        self.most_tokens: int | None = None
        self.keep: Callable[[int], None] = lambda most_tokens: None
        self._is_unsound = torch.zeros((), device=device)

    def limit(self, micro_batch: int | None, max_length: int) -> None:
        """Set the rows of a forward pass, as few as a halving on rows of any length asks for."""
        if self.most_tokens is not None:
            most = max(1, self.most_tokens // max_length)
            micro_batch = min(micro_batch or most, most)
        self.micro_batch = micro_batch

    def update(self, taken: Taken, rate: float, seed: Sequence[int], say: Say) -> Measured:
        """Do one update.

        Args:
            taken: The rows.
            rate: The learning rate.
            seed: What all draws of the step are a function of, with the row that a micro-batch
                begins with: see `draw_from`.
            say: Called where memory asks for smaller micro-batches.

        Raises:
            FloatingPointError: Loss or gradient are not finite; nothing was changed. Where the
                device would have to be waited for, nothing is raised, and neither this nor a later
                call changes anything: `numbers` have to be looked at.
            DataError: One row in a forward pass, or the optimizer, needs more memory than there is.
        """
        measured = self._gather(taken, seed, say)
        numbers = measured.numbers
        tokens = float(taken.rows.length.sum())
        numbers["tokens"] = torch.full((), tokens, device=self.device)  # not copied: no wait
        # Its state is made in the first update, and part of the weights may be changed already.
        with memory_for("the update, which takes no rows", OTHER_OPTIMIZER):
            self._change(numbers, rate)
        return measured

    def _change(self, numbers: dict[str, Tensor], rate: float) -> None:
        """Add up what the processes have gathered, clip it and change the weights."""
        self._fill_gradients()
        parameters = [one for one in self.model.parameters() if one.grad is not None]
        gradients = [one.grad for one in parameters if one.grad is not None]
        self.crew.add_up([*gradients, *numbers.values()])
        self.scaler.unscale_(self.optimizer)
        numbers["grad_norm"] = torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        try:
            self._apply(numbers)
        finally:
            self.optimizer.zero_grad(set_to_none=True)

    def make_batches(self, taken: Taken) -> Taken:
        """Return the rows with their micro-batches, if memory has room; any thread may ask."""
        try:
            return taken._replace(batches=self._divide(taken, self._size(taken)))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return taken

    def _size(self, taken: Taken) -> int:
        count = len(taken.rows)
        return min(self.micro_batch or count, count)

    def _divide(self, taken: Taken, size: int) -> list[Batch]:
        return to_batches(taken.rows, taken.epochs, taken.header, size, self.device)

    def _gather(self, taken: Taken, seed: Sequence[int], say: Say) -> Measured:
        """Gather the gradient; out of memory, begin again with micro-batches of half the size."""
        counts: dict[str, Tensor] | None = None
        while True:
            size, start = self._size(taken), time.perf_counter()
            batches = taken.batches
            try:
                if not batches or len(batches[0].input_ids) > size:
                    batches = self._divide(taken, size)
                waited = time.perf_counter() - start
                if counts is None:  # once, however often this one begins again: others do not
                    counts = self._count(batches)
                numbers = self._accumulate(batches, counts, [*seed, taken.first])
                return Measured(numbers, [_size(batch) for batch in batches], waited)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    with memory_for(f"one row of {taken.header.max_length} tokens", SMALLER):
                        raise
            # Here the error is gone, and with it what its frames held.
            batches, taken = (), taken._replace(batches=())
            self._halve(size, taken.header.max_length, say)

    def _halve(self, size: int, max_length: int, say: Say) -> None:
        """Go on with half as many rows, from a gradient of nothing."""
        self.optimizer.zero_grad(set_to_none=True)
        free_memory(self.device)
        self.micro_batch = math.ceil(size / 2)
        self.most_tokens = self.micro_batch * max_length
        self.keep(self.most_tokens)
        say(f"out of memory with {size} rows in a forward pass: going on with half as many")

    def _accumulate(
        self, batches: Sequence[Batch], counts: Mapping[str, Tensor], seed: Sequence[int]
    ) -> dict[str, Tensor]:
        """Add up the gradient of all micro-batches; return the numbers of this process's rows."""
        sums: dict[str, Tensor] = {}
        *start, row = seed
        for batch in batches:
            draw_from(*start, row)
            row += len(batch.input_ids)
            with autocast(self.precision, self.device):
                output = self.model(**vars(batch))
                loss = self.model.loss(output, counts)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            _add(sums, {"loss": loss.detach()})
            for name, score in output.scores.items():
                count = counts[name].clamp(min=1)
                _add(sums, {f"{name}_loss": score.loss.detach() / count})
                _add(sums, {f"{name}_accuracy": score.correct / count})
            # Before the next pass, not after it: they hold the gradient of the vocabulary's table.
            del output, loss, score
        return sums

    def _count(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Return how many losses of each kind the whole batch has."""
        counts: dict[str, Tensor] = {}
        for batch in batches:
            _add(counts, self.model.count(**vars(batch)))
        self.crew.add_up(list(counts.values()))
        return counts

    def _fill_gradients(self) -> None:
        """Give zeros to weights that have a gradient in another process alone.

        What nobody has a gradient for has none: the optimizer leaves it as it is.
        """
        if self.crew.processes == 1:
            return
        weights = [one for one in self.model.parameters() if one.requires_grad]
        having = torch.tensor([float(one.grad is not None) for one in weights])  # on the host
        self.crew.add_up([having])
        for weight, count in zip(weights, having.tolist(), strict=True):
            if count and weight.grad is None:
                weight.grad = torch.zeros_like(weight)

    def _apply(self, numbers: Mapping[str, Tensor]) -> None:
        """Change the weights, unless a number is not finite."""
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
            return
        is_finite = numbers["loss"].isfinite() & numbers["grad_norm"].isfinite()
        if self.device.type != "cpu" and hasattr(self.optimizer, "_step_supports_amp_scaling"):
            # What a loss scaler tells fused optimizers: their kernels change nothing then, nor in
            # the steps that are done until somebody looks.
            self._is_unsound = torch.maximum(self._is_unsound, (~is_finite).float())
            self.optimizer.grad_scale = None  # type: ignore[attr-defined]
            self.optimizer.found_inf = self._is_unsound  # type: ignore[attr-defined]
        elif not is_finite:  # waits for the device, unless it is the CPU
            wrong = {name: numbers[name].item() for name in ("loss", "grad_norm")}
            raise FloatingPointError(not_finite(wrong))
        self.optimizer.step()


def not_finite(numbers: Mapping[str, float]) -> str:
    """Return which of the numbers of a step is not finite, in words; "" where all are."""
    for name, value in numbers.items():
        if not math.isfinite(value):
            return f"the {name} is {value}"
    return ""


def _size(batch: Batch) -> BatchSize:
    rows, length = batch.input_ids.shape
    places = batch.places
    return BatchSize(rows, length, sum(places.tokens.lengths), len(places.masked))


def _add(sums: dict[str, Tensor], numbers: Mapping[str, Tensor]) -> None:
    for name, number in numbers.items():
        sums[name] = sums[name] + number if name in sums else number


def draw_from(*seed: int) -> None:
    """Seed torch's generators with some numbers: a resumed step draws what it would have drawn."""
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
