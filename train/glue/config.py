"""What a person can choose in `glue`, with checks; imports nothing heavy."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pipeline.config import SIZE

Recipe = Literal["electra", "bert", "sane"]
Baseline = Literal["random", "none"]
FromTask = Literal["mnli"]
Keep = Literal["none", "last", "best"]

DEFAULT_MAX_LENGTH = 128
"""ELECTRA (configure_finetuning.py, `max_seq_length`), BERT's example and cramming alike."""


@dataclass(frozen=True, kw_only=True)
class GlueConfig:
    """How a model is fine-tuned on each task; what is left out is the recipe's."""

    seeds: Annotated[int, "runs per task, each with its own head, data order and dropout"] = 5
    recipe: Annotated[Recipe, "rates, epochs and batches by task, or one set for all (sane)"] = (
        "electra"
    )
    epochs: Annotated[int | None, "passes over every task  [default: the recipe's]"] = None
    batch_size: Annotated[int | None, "rows of one step  [default: the recipe's]"] = None
    learning_rate: Annotated[float | None, "peak rate of AdamW  [default: the recipe's]"] = None
    max_length: Annotated[
        int | None, "tokens of a row  [default: what the model takes, at most 128]"
    ] = None
    max_train_rows: Annotated[
        int | None, "train on so many rows of a task at most, drawn once  [default: all]"
    ] = None
    from_task: Annotated[
        FromTask | None, "begin rte, mrpc and stsb with the encoder trained on this task"
    ] = None
    baseline: Annotated[Baseline, "train a twin of random weights beside the model"] = "random"
    keep: Annotated[Keep, "leave the trained models: none, of the last epoch, of the best too"] = (
        "none"
    )

    def __post_init__(self) -> None:
        for name in ("seeds", "epochs", "batch_size", "max_train_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{_option(name)} {value} is not at least 1")
        for name, known in (("recipe", Recipe), ("baseline", Baseline), ("keep", Keep)):
            _check_choice(name, getattr(self, name), get_args(known))
        if self.from_task is not None:
            _check_choice("from_task", self.from_task, get_args(FromTask))
        if self.learning_rate is not None and not 0 < self.learning_rate <= 1:
            raise ValueError(f"--learning-rate {self.learning_rate} is not above 0 and at most 1")
        if self.max_length is not None and not 8 <= self.max_length <= 65535:
            raise ValueError(f"--max-length {self.max_length} is not between 8 and 65535")


@dataclass(frozen=True, kw_only=True)
class GlueExecution:
    """Where and in how much memory; the updates are the same but for rounding and dropout."""

    device: Annotated[str, "auto, cpu, cuda or mps"] = "auto"
    memory: Annotated[int | None, "fit training into so much memory, such as 4GB", SIZE] = None
    micro_batch: Annotated[
        int | None, "rows in a forward pass at most  [default: what --memory has room for, or all]"
    ] = None

    def __post_init__(self) -> None:
        for name in ("memory", "micro_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{_option(name)} {value} is not at least 1")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{_option(name)} {value!r} is none of {', '.join(known)}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
