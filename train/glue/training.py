"""One training: one model, one task, one seed; its scores, its predictions and its models."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.tasks import TASKS, Task
from shards.errors import DataError
from shards.files import write_text
from train.glue.classifier import Classifier, Pretrained, find_model, make_classifier
from train.glue.classifier import save_classifier as save
from train.glue.config import GlueConfig
from train.glue.data import TaskRows
from train.glue.finetune import Place, finetune, predict
from train.glue.published import MAIN_METRICS
from train.glue.recipes import Settings, steps_of
from train.glue.results import Model, SeedResult
from train.glue.scores import baseline, score
from train.glue.submission import prediction_path, write_dev_predictions, write_test_predictions

MODELS_FOLDER = "models"
BEGUN_FROM = {"mnli": ("mrpc", "stsb", "rte")}
"""Which tasks begin with the encoder of another one's model by `--from-task`."""


@dataclass(frozen=True)
class Console:
    """How progress is shown.

    Attributes:
        say: Gets a line that a person should see.
        quiet: Whether to show no bar.
    """

    say: Callable[[str], None]
    quiet: bool


SILENT = Console(lambda _: None, quiet=True)


@dataclass(frozen=True, kw_only=True)
class Training:
    """All seeds of one task have this in common.

    Attributes:
        pretrained: The model that is judged.
        task: The task.
        rows: Its rows.
        config: What a person chose.
        settings: What follows from it for this task.
        place: Where it is computed.
        out: The folder of the results.
        console: Shows the progress.
    """

    pretrained: Pretrained
    task: Task
    rows: TaskRows
    config: GlueConfig
    settings: Settings
    place: Place
    out: Path
    console: Console


def models_folder(out: Path, task: str, model: Model, seed: int) -> Path:
    """Return where the models of one training are kept."""
    twin = "" if model == "pretrained" else "-random"
    return out / MODELS_FOLDER / f"{task}{twin}-seed-{seed}"


def train_seed(training: Training, model: Model, seed: int) -> SeedResult:
    """Train once; score the model of the last step on dev, and write what it predicts.

    Raises:
        DataError: The loss is no longer finite, or the memory too small.
    """
    began = time.monotonic()
    task, config = training.task, training.config
    folder = models_folder(training.out, task.name, model, seed)
    is_judged = model == "pretrained"
    best = folder / "best" if is_judged and config.keep == "best" else None
    name = f"{task.name} {'pretrained' if is_judged else 'random twin'} seed {seed}"
    classifier = fit(training, _make(training, model, seed), seed, name, best)
    predictions = predict_dev(training, classifier)
    scores = score_dev(training, predictions)
    if is_judged:
        _write_predictions(training, classifier, seed, predictions)
    if config.from_task == task.name or (is_judged and config.keep != "none"):
        save(folder / "last", classifier, training.pretrained, task)
    training.console.say(f"{name}: {in_words(scores)}")
    return SeedResult(
        seed=seed,
        scores=scores,
        device=str(training.place.device),
        precision=training.place.precision.name,
        seconds=time.monotonic() - began,
    )


def fit(
    training: Training, classifier: Classifier, seed: int, name: str, best: Path | None = None
) -> Classifier:
    """Train all of the classifier, and return it, on the device, as it is after the last step.

    Args:
        training: On what, how and where.
        classifier: As it begins.
        seed: Of the batches and the dropout.
        name: What the bar is called.
        best: Where to keep the model of the epoch with the best dev score, if anywhere.
    """
    rows, settings = training.rows.train, training.settings
    classifier = classifier.to(training.place.device)
    keep = None if best is None else _Best(training, classifier, best).keep
    quiet = training.console.quiet or None  # None: no bar where nobody looks
    with tqdm(total=steps_of(len(rows), settings), desc=name, unit="step", disable=quiet) as bar:
        finetune(
            classifier,
            training.task,
            rows,
            settings,
            seed,
            bar.update,
            place=training.place,
            on_epoch=keep,
        )
    return classifier


def _make(training: Training, model: Model, seed: int) -> Classifier:
    """Make the classifier that training begins with."""
    task, settings, source = training.task, training.settings, training.config.from_task
    if source is None or task.name not in BEGUN_FROM[source]:
        learnt = model == "pretrained"
        return make_classifier(training.pretrained, task, seed, learnt, settings)
    folder = models_folder(training.out, source, model, seed) / "last"
    if not folder.is_dir():
        problem = f"{folder} is gone, with which {task.name} is to begin"
        raise DataError(problem, f"delete {training.out} and run the command again")
    return make_classifier(find_model(folder), task, seed, True, settings)


def predict_dev(training: Training, classifier: Classifier) -> dict[str, NDArray[Any]]:
    """Return what the classifier predicts of each dev split."""
    return {
        split: predict(classifier, training.task, rows, place=training.place)
        for split, rows in training.rows.dev.items()
    }


def score_dev(
    training: Training, predictions: dict[str, NDArray[Any]]
) -> dict[str, dict[str, float]]:
    """Return each metric of each dev split."""
    return {
        split: score(training.task, training.rows.dev[split].labels, predicted)
        for split, predicted in predictions.items()
    }


def score_majority(task: Task, rows: TaskRows) -> dict[str, dict[str, float]]:
    """Return each metric of each dev split of what needs no model."""
    return {
        split: score(task, dev.labels, baseline(task, rows.train.labels, dev.labels))
        for split, dev in rows.dev.items()
    }


def _write_predictions(
    training: Training, classifier: Classifier, seed: int, dev: dict[str, NDArray[Any]]
) -> None:
    for split, predicted in dev.items():
        path = prediction_path(training.out, training.task, split, seed)
        labels = training.rows.dev[split].labels
        write_dev_predictions(path, training.task, labels, predicted)
    for (name, split), rows in training.rows.test.items():
        predicted = predict(classifier, training.task, rows, place=training.place)
        path = prediction_path(training.out, TASKS[name], split, seed)
        write_test_predictions(path, TASKS[name], predicted)


class _Best:
    """Keeps the model of the best epoch, told by the dev rows."""

    def __init__(self, training: Training, classifier: Classifier, folder: Path) -> None:
        self.training = training
        self.classifier = classifier
        self.folder = folder
        self.epochs: list[float] = []

    def keep(self, epoch: int) -> None:
        """Save the model if its dev score is above those of all epochs before."""
        training = self.training
        scores = score_dev(training, predict_dev(training, self.classifier))
        split, metric = MAIN_METRICS.get(training.task.name, ("dev", training.task.metrics[0]))
        value = scores[split][metric]
        if not self.epochs or value > max(self.epochs):
            save(self.folder, self.classifier, training.pretrained, training.task)
        self.epochs.append(value)
        best = self.epochs.index(max(self.epochs)) + 1
        note = {"chosen_on": split, "metric": metric, "epoch": best, "epochs": self.epochs}
        write_text(self.folder / "chosen.json", json.dumps(note, indent=1) + "\n")


def in_words(scores: dict[str, dict[str, float]]) -> str:
    """Return the scores times 100, as a phrase."""
    values = [
        f"{'' if split == 'dev' else split.removeprefix('dev_') + ' '}{metric} {100 * value:.1f}"
        for split, metrics in scores.items()
        for metric, value in metrics.items()
    ]
    return ", ".join(values)
