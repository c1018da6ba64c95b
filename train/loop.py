"""The training loop: read it from the top in five minutes.

A step is: gather a batch, forward, loss, backward, clip, update, one line of metrics. Everything
random in a step is seeded by (seed, step), and its rows are found by its number alone, so the state
of the loop is the weights, the optimizer and the step.
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from model.electra import Electra
from shards.errors import DataError
from shards.order import share
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows
from train.batch import to_batch
from train.checkpoint import State, save_checkpoint
from train.evaluate import evaluate
from train.interrupt import Interrupt
from train.metrics import MetricsWriter
from train.optimizer import MAX_GRAD_NORM
from train.runs import Run
from train.schedule import learning_rate


class Trainer:
    """One run's networks, optimizer and data, and the steps that it has done."""

    def __init__(
        self,
        run: Run,
        model: Electra,
        optimizer: torch.optim.Optimizer,
        train: ShardFolder,
        validation: ShardFolder,
        device: torch.device,
    ) -> None:
        self.run = run
        self.model = model
        self.optimizer = optimizer
        self.train_rows = train
        self.validation_rows = validation
        self.device = device
        self.shuffled = ShuffledRows(train, run.config.seed)
        self.state = State(step=0, seconds=0.0)

    def train(self, metrics: MetricsWriter, interrupt: Interrupt) -> None:
        """Train from the present step to the last.

        Raises:
            DataError: A loss is not finite, or a person asked to stop; what is done is kept.
        """
        config = self.run.config
        with tqdm(
            total=config.steps, initial=self.state.step, desc="pretrain", unit="step", disable=None
        ) as progress:
            while self.state.step < config.steps:
                line = self.train_step()
                is_last = self.state.step == config.steps
                is_due = is_last or self.state.step % config.checkpoint_every == 0
                if is_due and len(self.validation_rows):
                    line["validation"] = self.evaluate()
                # Before the checkpoint, and on disk: a kill between the two costs no line.
                metrics.write(line)
                if is_due or interrupt.requested:
                    metrics.sync()
                    self.save()
                progress.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
                progress.update()
                if interrupt.requested and not is_last:
                    remedy = f"go on with `python cli.py pretrain --resume --out {self.run.folder}`"
                    raise DataError(f"stopped after step {self.state.step}, as asked", remedy)

    def train_step(self) -> dict[str, Any]:
        """Do one update; return its line of metrics."""
        start = time.perf_counter()
        config, step = self.run.config, self.state.step
        rate = learning_rate(step, config.steps, config.warmup_steps, config.learning_rate)
        torch.manual_seed(step_seed(config.seed, step))
        cursor, count = share(step, config.batch_size)
        rows, epochs = self.shuffled.read(cursor, count)
        batch = to_batch(rows, epochs, self.train_rows.header, self.device)
        waited = time.perf_counter() - start

        output = self.model(**vars(batch))
        loss = self.model.loss(output)
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRAD_NORM)
        self._check_finite({"loss": loss.item(), "gradient norm": grad_norm.item()}, cursor)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

        seconds = time.perf_counter() - start
        self.state = State(step + 1, self.state.seconds + seconds)
        return {
            "step": step + 1,
            "loss": loss.item(),
            **{name: mean.item() for name, mean in output.means().items()},
            "learning_rate": rate,
            "grad_norm": grad_norm.item(),
            "tokens_per_second": int(rows.length.sum()) / seconds,
            "data_wait": waited / seconds,
            "seconds": self.state.seconds,
        }

    def _check_finite(self, values: dict[str, float], cursor: int) -> None:
        """Stop before an update that would destroy the weights."""
        for name, value in values.items():
            if not math.isfinite(value):
                rows, _ = self.shuffled.order.take(cursor, min(8, self.run.config.batch_size))
                where = f"step {self.state.step + 1} is {value}, on rows {rows.tolist()}..."
                remedy = "it was not applied; start another run with a lower --learning-rate"
                raise DataError(f"the {name} of {where}", remedy)

    def evaluate(self) -> dict[str, float]:
        """Score the model on the validation rows."""
        return evaluate(self.model, self.validation_rows, self.run.config.batch_size, self.device)

    def save(self) -> Path:
        """Write a checkpoint of the present step."""
        return save_checkpoint(self.run.checkpoints, self.model, self.optimizer, self.state)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of torch's generator for one step: the same after a resume."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0])
