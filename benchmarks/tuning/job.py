"""What both sides fine-tune: one model, one task, some of its rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks import TASKS, Examples, Task
from train.glue.config import DEFAULT_MAX_LENGTH
from train.glue.recipes import RECIPES, Settings

SEED = 0
PREDICTED = 64
"""Rows of a batch of predictions."""


@dataclass(frozen=True)
class Job:
    """What both sides fine-tune, by ELECTRA's recipe, without decay by layer: `Trainer` has none.

    Attributes:
        folder: Of the model, with its tokenizer; `with_head` in it holds the same with a head.
        name: Of the task.
        train: Rows to train on.
        dev: Rows to predict.
        dropout: Of everything.
        epochs: Passes over the rows.
        warmup_fraction: Share of the updates in which the rate rises.
        threads: Of torch.
    """

    folder: Path
    name: str
    train: Examples
    dev: Examples
    dropout: float = 0.1
    epochs: int = 1
    warmup_fraction: float = 0.1
    threads: int = 1
    max_length: int = DEFAULT_MAX_LENGTH

    @property
    def task(self) -> Task:
        """Return the task."""
        return TASKS[self.name]

    @property
    def settings(self) -> Settings:
        """Return how both train."""
        return replace(
            RECIPES["electra"],
            epochs=self.epochs,
            warmup_fraction=self.warmup_fraction,
            layer_decay=1.0,
            dropout=self.dropout,
        )

    @property
    def with_head(self) -> Path:
        """Return the folder of the model with the head that both begin with."""
        return self.folder / "with_head"


class Tuned(NamedTuple):
    """What training and predicting took, and what came of it.

    Attributes:
        seconds: Of training, by the clock.
        processor_seconds: Of training, of all threads of the process.
        predict_seconds: Of predicting, by the clock.
        predict_processor_seconds: Of predicting.
        predicted: The classes of the rows of dev (N,).
    """

    seconds: float
    processor_seconds: float
    predict_seconds: float
    predict_processor_seconds: float
    predicted: NDArray[np.int64]


def timed(train: Callable[[], Any], predict: Callable[[], NDArray[np.int64]]) -> Tuned:
    """Train, then predict."""
    clock, processor = time.perf_counter(), time.process_time()
    train()
    seconds, processor_seconds = time.perf_counter() - clock, time.process_time() - processor
    clock, processor = time.perf_counter(), time.process_time()
    predicted = predict()
    return Tuned(
        seconds,
        processor_seconds,
        time.perf_counter() - clock,
        time.process_time() - processor,
        predicted,
    )


def first_rows(examples: Examples, count: int) -> Examples:
    """Return the first rows of some."""
    second = None if examples.second is None else examples.second[:count]
    return replace(
        examples, first=examples.first[:count], second=second, labels=examples.labels[:count]
    )
