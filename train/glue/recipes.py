"""Recipes: the settings that others fine-tuned with, by task; imports nothing heavy.

- electra: https://github.com/google-research/electra, `configure_finetuning.py`, as for its small
  and base models. Its Adam has no correction of bias, ours has it; and its head is one linear
  layer, ours that of the model's class in `transformers`, with a dense layer before.
- bert: https://github.com/huggingface/transformers, `examples/pytorch/text-classification`
  (README.md: rate, batch, epochs), with warm-up and decay of https://github.com/google-research/bert
  (`run_classifier.py`, `optimization.py`).
- sane: one set for all tasks, https://github.com/JonasGeiping/cramming,
  `config/eval/GLUE_sane.yaml`, and https://arxiv.org/abs/2212.14034 (no dropout in pretraining, .1
  in fine-tuning).
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from train.config import ScheduleName
from train.glue.config import GlueConfig

if TYPE_CHECKING:  # it imports numpy
    from pipeline.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one task is trained on.

    Attributes:
        learning_rate: The highest, of the head.
        batch_size: Rows of an update.
        epochs: Passes over the rows.
        warmup_fraction: Share of the updates in which the rate rises.
        weight_decay: Of all weights but vectors, as in pretraining.
        layer_decay: Rate of a layer as a share of the layer's above it; 1 = all alike.
        schedule: How the rate falls.
        dropout: Of head, hidden states and attention, whatever pretraining had.
        both_orders: Whether pairs whose order means nothing are trained on in both.
    """

    learning_rate: float
    batch_size: int
    epochs: int
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    schedule: ScheduleName = "linear"
    dropout: float = 0.1
    both_orders: bool = False


RECIPES = {
    "electra": Settings(learning_rate=1e-4, batch_size=32, epochs=3, layer_decay=0.8),
    "bert": Settings(learning_rate=2e-5, batch_size=32, epochs=3),
    "sane": Settings(learning_rate=4e-5, batch_size=16, epochs=5, schedule="cosine"),
}
EPOCHS = {"electra": {"rte": 10, "stsb": 10}, "bert": {"mrpc": 5, "wnli": 5}}
"""Tasks that a recipe trains for longer than others."""


def settings_of(config: GlueConfig, task: "Task") -> Settings:
    """Return the recipe's settings for a task, and what a person chose instead."""
    name = config.recipe
    settings = replace(
        RECIPES[name],
        epochs=EPOCHS.get(name, {}).get(task.name, RECIPES[name].epochs),
        both_orders=name == "electra" and task.symmetric,
    )
    chosen = {one: getattr(config, one) for one in ("learning_rate", "batch_size", "epochs")}
    return replace(settings, **{one: value for one, value in chosen.items() if value is not None})


def steps_of(rows: int, settings: Settings) -> int:
    """Return how many updates a training on `rows` takes, both orders of a pair counted."""
    return settings.epochs * math.ceil(rows / settings.batch_size)
