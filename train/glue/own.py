"""Plain fine-tuning: a model with its head for a person's own task, as `transformers` loads it.

One training, with seed 0; the model is that of the last step. Its scores on dev, and on test where
that has labels, stand beside those of the majority class.
"""

import json
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.own_tasks import read_own_examples, read_own_task
from pipeline.tasks import Task
from shards.errors import DataError
from shards.files import write_text
from train.glue.classifier import (
    Pretrained,
    find_model,
    make_classifier,
    row_length,
    save_classifier,
)
from train.glue.config import GlueConfig, GlueExecution
from train.glue.data import TaskRows, count_rows, sample_rows
from train.glue.finetune import predict
from train.glue.place import find_place
from train.glue.recipes import settings_of
from train.glue.results import Scores, SplitCounts
from train.glue.row_tokenizer import load_row_tokenizer
from train.glue.rows import EncodedRows
from train.glue.scores import check_packages
from train.glue.submission import PREDICTIONS, words_of, write_predictions
from train.glue.table import aligned, percent
from train.glue.training import (
    SILENT,
    Console,
    Training,
    fit,
    predict_dev,
    score_dev,
    score_majority,
)

SEED = 0
SCORES_FILE = "scores.json"


@dataclass(frozen=True, kw_only=True)
class OwnResults:
    """What came of it; written to scores.json beside the model.

    Attributes:
        task: The folder of the task.
        kind: What is to be told.
        model: The pretrained model.
        architecture: The class of `transformers` that loads the result.
        config: The resolved `GlueConfig`.
        settings: What followed from it.
        counts: Rows by split.
        lost_words: In tagging, words that were cut off or are no tokens, by split.
        scores: Of the model, by split.
        majority: Of always answering the most frequent label, or the mean score.
    """

    task: str
    kind: str
    model: str
    architecture: str
    config: dict[str, Any]
    settings: dict[str, Any]
    counts: dict[str, SplitCounts]
    lost_words: dict[str, int]
    scores: Scores
    majority: Scores

    def __str__(self) -> str:
        """Return one line per split and metric, as an aligned Markdown table."""
        header = ("split", "metric", "model", "majority", "train rows", "rows")
        lines = [
            (
                *(split, metric, percent(value), percent(self.majority[split][metric])),
                *(str(self.counts["train"]), str(self.counts[split])),
            )
            for split, metrics in self.scores.items()
            for metric, value in metrics.items()
        ]
        cut = [
            f"{split}: {counts.truncated} of {counts.rows} rows cut to fit"
            for split, counts in self.counts.items()
            if counts.truncated
        ]
        lost = [
            f"{split}: {words} words have no prediction, and are in no score"
            for split, words in self.lost_words.items()
            if words
        ]
        return "\n".join([aligned([header, *lines]), *cut, *lost])


def run_own(
    model: Path,
    folder: Path,
    *,
    out: Path,
    config: GlueConfig,
    execution: GlueExecution,
    console: Console = SILENT,
) -> OwnResults:
    """Fine-tune on the task in `folder`; leave the model with its head in `out`.

    Args:
        model: A run's folder, or an encoder's as `transformers` writes it.
        folder: As `pipeline.own_tasks` says.
        out: The folder to make; with `keep` "best", OUT-best is that of the best epoch on dev.
        config: How to train; of the seeds there is one.
        execution: Where, and in how much memory.
        console: Shows the progress.

    Raises:
        DataError: Model, task, device or a package is missing or broken, `out` is there already, or
            the training diverged.
    """
    check_packages()
    best = _find_place_for_models(out, config)
    pretrained = find_model(model)
    task = read_own_task(folder)
    length = row_length(config, pretrained)
    config = replace(config, max_length=length)
    settings = settings_of(config, task)
    training = Training(
        pretrained=pretrained,
        task=task,
        rows=_encode(pretrained, task, folder, length, config),
        config=config,
        settings=settings,
        place=find_place(execution, pretrained, task, settings, length, say=console.say),
        out=out,
        console=console,
    )
    classifier = make_classifier(pretrained, task, SEED, True, settings)
    fit(training, classifier, SEED, task.name, best)
    predictions = predict_dev(training, classifier)
    results = OwnResults(
        task=str(folder),
        kind=task.kind,
        model=str(model),
        architecture=save_classifier(out, classifier, pretrained, task),
        config=asdict(config),
        settings=asdict(settings),
        counts=training.rows.counts,
        lost_words=_lost_words(training.rows),
        scores=score_dev(training, predictions),
        majority=score_majority(task, training.rows),
    )
    for (_, split), rows in training.rows.test.items():
        predictions[split] = predict(classifier, task, rows, place=training.place)
    for split, predicted in predictions.items():
        _write_predictions(training, split, predicted)
    write_text(out / SCORES_FILE, json.dumps(asdict(results), indent=1) + "\n")
    return results


def _find_place_for_models(out: Path, config: GlueConfig) -> Path | None:
    """Return where the model of the best epoch goes, if it is to be kept.

    Raises:
        DataError: Something is there, or at `out`.
    """
    best = out.with_name(f"{out.name}-best") if config.keep == "best" else None
    for path in (out, best):
        if path is not None and path.exists():
            raise DataError(f"{path} is there already", "choose another --out, or delete it")
    return best


def _encode(
    pretrained: Pretrained, task: Task, folder: Path, length: int, config: GlueConfig
) -> TaskRows:
    """Read and encode all splits; a test split without labels is not among those of `dev`."""
    tokenizer = load_row_tokenizer(pretrained.folder, length, pretrained.shape.vocab_size)
    found = TaskRows()
    for split in task.rows:
        examples = read_own_examples(task, folder, split)
        rows = tokenizer.encode(examples)
        if split == "train":
            rows = found.train = sample_rows(rows, config)
        elif examples.is_labelled:
            found.dev[split] = rows
        else:
            found.test[task.name, split] = rows
        found.counts[split] = count_rows(task, split, examples, rows)
    return found


def _lost_words(rows: TaskRows) -> dict[str, int]:
    test = {split: one for (_, split), one in rows.test.items()}
    return {split: one.lost_words for split, one in {**rows.dev, **test}.items()}


def _write_predictions(training: Training, split: str, predicted: NDArray[Any]) -> None:
    """Write a line for each row: its number, its label where it has one, and the prediction."""
    task, rows = training.task, training.rows.dev.get(split)
    is_labelled = rows is not None
    if rows is None:
        rows = training.rows.test[task.name, split]
    columns = [_cells(task, predicted, rows)]
    if is_labelled:
        columns.insert(0, _cells(task, rows.labels, rows))
    header = ("index", "label", "prediction") if is_labelled else ("index", "prediction")
    path = training.out / PREDICTIONS / f"{split}.tsv"
    write_predictions(path, header, zip(*columns, strict=True))


def _cells(task: Task, values: NDArray[Any], rows: EncodedRows) -> list[str]:
    """Return labels or predictions by row; the tags of a row have a space between."""
    words = words_of(task, values)
    if task.kind != "tagging":
        return words
    bounds = pairwise(rows.label_starts.tolist())
    return [" ".join(words[begin:end]) for begin, end in bounds]
