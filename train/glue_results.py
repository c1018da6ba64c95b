"""What fine-tuning found, as JSON and as the table that a person reads."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.tasks import TASKS
from shards.files import write_text

HEADER = ("task", "metric", "pretrained", "random twin", "majority", "train rows", "dev rows")


@dataclass(frozen=True)
class Score:
    """One metric on one dev split, as a fraction (higher is better), one value per seed.

    Attributes:
        split: The dev split.
        metric: Name of the metric, see `train.scores`.
        pretrained: Of the pretrained model.
        random: Of its randomly initialised twin, trained in the same way.
        majority: Of always answering the majority class, or the mean score.
    """

    split: str
    metric: str
    pretrained: tuple[float, ...]
    random: tuple[float, ...]
    majority: float

    def as_json(self) -> dict[str, Any]:
        """Return the values with their median and spread."""
        return {
            "split": self.split,
            "metric": self.metric,
            "pretrained": _summary(self.pretrained),
            "random": _summary(self.random),
            "majority": self.majority,
        }


@dataclass(frozen=True)
class SplitCounts:
    """How much of a split was used.

    Attributes:
        rows: Rows trained on or scored.
        official: Rows of the official file, None where unknown.
        partial: Whether the file holds fewer rows than the official one.
        skipped: Rows left out for a missing or left-over field.
        truncated: Rows that were too long and lost tokens.
    """

    rows: int
    official: int | None
    partial: bool
    skipped: int
    truncated: int

    def __str__(self) -> str:
        """Return the count, never passing a part off as the whole."""
        if self.partial:
            return f"{self.rows:,} of {self.official:,} (partial)"
        return f"{self.rows:,}"


@dataclass(frozen=True)
class TaskResults:
    """All that was measured on one task."""

    task: str
    epochs: int
    counts: dict[str, SplitCounts]
    scores: list[Score]
    seconds: float


@dataclass(frozen=True)
class GlueResults:
    """The tasks done so far, and how.

    Attributes:
        model: Folder of the pretrained model.
        parameters: Weights of its encoder.
        device: Where it was trained.
        config: The resolved `GlueConfig`.
        tasks: In the order in which they were done.
    """

    model: str
    parameters: int
    device: str
    config: dict[str, Any]
    tasks: list[TaskResults] = field(default_factory=list)

    def write(self, out: Path) -> None:
        """Write results.json and results.md into `out`, each whole or not at all."""
        document = asdict(self) | {
            "tasks": [
                asdict(task) | {"scores": [score.as_json() for score in task.scores]}
                for task in self.tasks
            ]
        }
        write_text(out / "results.json", json.dumps(document, indent=1) + "\n")
        write_text(out / "results.md", self.markdown())

    def markdown(self) -> str:
        """Return the page that holds the table and says how it was made."""
        settings = {name: value for name, value in self.config.items() if name != "epochs"}
        settings["epochs"] = ", ".join(f"{task.epochs} ({task.task})" for task in self.tasks)
        listed = "; ".join(f"{name} {value}" for name, value in settings.items())
        return (
            f"# GLUE dev scores of {self.model}\n\n{self}\n\n"
            "Scores times 100: the median over seeds, and (lowest..highest). The random twin has "
            "the same shape and training, but no pretraining. Majority is the most frequent class "
            "of the training rows; for a regression, their mean.\n\n"
            f"{self.parameters:,} parameters in the encoder; device {self.device}; {listed}.\n"
        )

    def __str__(self) -> str:
        """Return one line per task, dev split and metric, as an aligned Markdown table."""
        lines = [HEADER] + [
            (
                _label(task.task, score.split),
                score.metric,
                _percent(score.pretrained),
                _percent(score.random),
                _percent((score.majority,)),
                str(task.counts["train"]),
                str(task.counts[score.split]),
            )
            for task in self.tasks
            for score in task.scores
        ]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        rows = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
        rows.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(rows)


def _label(task: str, split: str) -> str:
    """Return "CoLA", or "MNLI matched" where a task has more than one dev split."""
    return " ".join([TASKS[task].folder, *split.split("_")[1:]])


def _percent(values: tuple[float, ...]) -> str:
    text = f"{100 * median(values):.1f}"
    if len(values) > 1:
        text += f" ({100 * min(values):.1f}..{100 * max(values):.1f})"
    return text


def _summary(values: tuple[float, ...]) -> dict[str, Any]:
    return {
        "median": median(values),
        "lowest": min(values),
        "highest": max(values),
        "seeds": list(values),
    }
