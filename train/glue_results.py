"""What fine-tuning found: JSON that a later run continues, and the table that a person reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.tasks import SCORED_TASKS, TASKS
from shards.errors import DataError
from shards.files import write_text
from shards.manifest import difference

RESULTS_FILE = "results.json"

HEADER = ("task", "metric", "pretrained", "random twin", "majority", "train rows", "dev rows")


@dataclass(frozen=True)
class Measured:
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

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "Measured":
        """Return what `as_json` was made from."""
        return Measured(
            document["split"],
            document["metric"],
            tuple(document["pretrained"]["seeds"]),
            tuple(document["random"]["seeds"]),
            document["majority"],
        )


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


@dataclass(frozen=True, kw_only=True)
class TaskResults:
    """All that was measured on one task.

    Attributes:
        task: Name of the task.
        data: The BLAKE3 hash of each file used, by its name under data/glue.
        device: Where it was trained.
        epochs: Passes over the training rows.
        counts: How much of each split was used.
        scores: One per dev split and metric.
        seconds: Time taken by all seeds, twins included.
    """

    task: str
    data: Mapping[str, str]
    device: str
    epochs: int
    counts: Mapping[str, SplitCounts]
    scores: tuple[Measured, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the values, each score with its median and spread."""
        return asdict(self) | {"scores": [score.as_json() for score in self.scores]}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "TaskResults":
        """Return what `as_json` was made from."""
        counts = {split: SplitCounts(**one) for split, one in document["counts"].items()}
        scores = tuple(Measured.from_json(one) for one in document["scores"])
        parts = {"data": dict(document["data"]), "counts": counts, "scores": scores}
        return TaskResults(**{**document, **parts})


@dataclass(frozen=True, kw_only=True)
class GlueResults:
    """The tasks done so far, and how.

    Attributes:
        model: Folder of the pretrained model.
        model_blake3: Hash of its model.safetensors.
        parameters: Weights of its encoder.
        config: The resolved `GlueConfig`.
        tasks: In GLUE's order.
    """

    model: str
    model_blake3: str
    parameters: int
    config: Mapping[str, Any]
    tasks: tuple[TaskResults, ...] = ()

    def with_task(self, task: TaskResults) -> "GlueResults":
        """Return these results and those of one more task."""
        tasks = sorted((*self.tasks, task), key=lambda one: SCORED_TASKS.index(one.task))
        return replace(self, tasks=tuple(tasks))

    def write(self, out: Path) -> None:
        """Write results.json and results.md into `out`, each whole or not at all."""
        document = asdict(self) | {"tasks": [task.as_json() for task in self.tasks]}
        write_text(out / RESULTS_FILE, json.dumps(document, indent=1) + "\n")
        write_text(out / "results.md", self.markdown())

    def markdown(self) -> str:
        """Return the page that holds the table and says how it was made."""
        settings = {name: value for name, value in self.config.items() if name != "epochs"}
        settings["epochs"] = ", ".join(f"{task.epochs} ({task.task})" for task in self.tasks)
        listed = "; ".join(f"{name} {value}" for name, value in settings.items())
        devices = ", ".join(dict.fromkeys(task.device for task in self.tasks))
        return (
            f"# GLUE dev scores of {self.model}\n\n{self}\n\n"
            "Scores times 100: the median over seeds, and (lowest..highest). The random twin has "
            "the same shape and training, but no pretraining. Majority is the most frequent class "
            "of the training rows; for a regression, their mean.\n\n"
            f"{self.parameters:,} parameters in the encoder; device {devices}; {listed}.\n"
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


def continue_results(fresh: GlueResults, out: Path) -> GlueResults:
    """Return `fresh` with the tasks that an earlier run has left in `out`, if any.

    Raises:
        DataError: They are damaged, or of another model or configuration.
    """
    path = out / RESULTS_FILE
    if not path.is_file():
        return fresh
    kept = read_results(path)
    if kept.model_blake3 != fresh.model_blake3:
        changed = f"the model {_named(kept)}, not {_named(fresh)}"
    else:
        changed = difference(kept.config, fresh.config) or ""
    if changed:
        raise DataError(f"{path} was made with {changed}", other_out(out))
    return replace(fresh, tasks=kept.tasks)


def read_results(path: Path) -> GlueResults:
    """Read a results.json.

    Raises:
        DataError: It is damaged, or another version of Hearth wrote it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        tasks = [TaskResults.from_json(task) for task in document.pop("tasks")]
        results = GlueResults(**document)
        for task in tasks:
            results = results.with_task(task)
        results.markdown()  # fails on any value that cannot be shown
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{path} cannot be read as results ({type(error).__name__}: {error})"
        raise DataError(problem, other_out(path.parent)) from error
    return results


def other_out(out: Path) -> str:
    """Return the remedy for results that cannot be continued."""
    return f"choose another --out, or delete {out}"


def _named(results: GlueResults) -> str:
    return f"{results.model} (model.safetensors {results.model_blake3[:12]})"


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
