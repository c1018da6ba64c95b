"""What a person can choose in `glue`, with checks; imports nothing heavy.

The defaults are ELECTRA's (https://github.com/google-research/electra, configure_finetuning.py)
without its layer-wise learning-rate decay, which is undefined where layers share their weights.
"""

from dataclasses import dataclass
from typing import Annotated

DEFAULT_EPOCHS = 3
DEFAULT_MAX_LENGTH = 128
LONGER_EPOCHS = {"rte": 10, "stsb": 10}
"""Tasks trained for longer, by task name (configure_finetuning.py, `num_train_epochs`)."""


@dataclass(frozen=True, kw_only=True)
class GlueConfig:
    """How a model is fine-tuned on each task."""

    seeds: Annotated[int, "runs per task, each with its own head, data order and dropout"] = 3
    epochs: Annotated[int | None, "passes over a task; by default 3, and 10 for rte and stsb"] = (
        None
    )
    batch_size: Annotated[int, "rows of one step"] = 32
    learning_rate: Annotated[float, "peak learning rate of AdamW"] = 1e-4
    warmup_fraction: Annotated[float, "share of the steps in which the rate rises"] = 0.1
    max_length: Annotated[
        int | None, "tokens of a row; by default the model's length, at most 128"
    ] = None

    def __post_init__(self) -> None:
        for name in ("seeds", "epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} {value} is not at least 1")
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"--learning-rate {self.learning_rate} is not above 0 and at most 1")
        if not 0 <= self.warmup_fraction <= 1:
            raise ValueError(f"--warmup-fraction {self.warmup_fraction} is not between 0 and 1")
        if self.max_length is not None and not 8 <= self.max_length <= 65535:
            raise ValueError(f"--max-length {self.max_length} is not between 8 and 65535")

    def epochs_of(self, task: str) -> int:
        """Return the passes over the training rows of `task`."""
        return self.epochs or LONGER_EPOCHS.get(task, DEFAULT_EPOCHS)
