"""Predictions: of every seed on dev, and for the leaderboard, in its file names and label words.

https://gluebenchmark.com/submit wants a zip of one file per test file: a header `index`,
`prediction`, a line for each row, counted from 0. Labels are the words of the training files where
those are words (MNLI, AX, QNLI, RTE), else 0 and 1; STS-B's are numbers from 0 to 5; AX, which
has no training rows, is answered by the MNLI model.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks import TASKS, Task
from shards.files import write_atomically, write_text
from train.glue.published import MAIN_METRICS
from train.glue.results import GlueResults, middle_seed

PREDICTIONS = "predictions"
SUBMISSION = "submission"
ANSWERED_BY = {"ax": "mnli"}
"""Whose model answers the test file of a task that has no training rows."""


def prediction_path(out: Path, task: Task, split: str, seed: int) -> Path:
    """Return where the predictions of one seed on one split lie."""
    return out / PREDICTIONS / f"{task.name}-{split}-seed-{seed}.tsv"


def words_of(task: Task, values: NDArray[Any]) -> list[str]:
    """Return labels or predictions as they are written in the task's files.

    Args:
        task: Says what the numbers mean.
        values: (N,) classes or scores, or (N, C) bool of a multi-label task (`a|b`).
    """
    if task.kind == "regression":
        return [np.format_float_positional(one, trim="-") for one in values]
    if task.kind == "multi-label":
        return ["|".join(np.array(task.labels)[one]) for one in values]
    return [task.labels[one] for one in values]


def write_dev_predictions(
    path: Path, task: Task, labels: NDArray[Any], predictions: NDArray[Any]
) -> None:
    """Write a line for each dev row: its number, its label and what was predicted."""
    pairs = zip(words_of(task, labels), words_of(task, predictions), strict=True)
    write_predictions(path, ("index", "label", "prediction"), pairs)


def write_test_predictions(path: Path, task: Task, predictions: NDArray[Any]) -> None:
    """Write a line for each test row, as the leaderboard wants it.

    A score below or above the task's range is moved to its end: the leaderboard takes no other.
    """
    if task.kind == "regression":
        predictions = np.clip(predictions, *task.label_range)
    write_predictions(
        path, ("index", "prediction"), ((one,) for one in words_of(task, predictions))
    )


def write_predictions(
    path: Path, header: tuple[str, ...], lines: Iterable[tuple[str, ...]]
) -> None:
    """Write a line for each row, its number first, from 0 on."""
    rows = ["\t".join(header), *("\t".join((str(n), *line)) for n, line in enumerate(lines))]
    write_text(path, "\n".join(rows) + "\n")


def write_submission(results: GlueResults, out: Path) -> list[str]:
    """Write submission/*.tsv and submission.zip of the seeds in the middle of each task.

    Returns:
        Why the leaderboard would refuse the zip, if it would.
    """
    sources, missing, problems = {}, [], []
    for task in TASKS.values():
        trained = results.task(ANSWERED_BY.get(task.name, task.name))
        for split, name in task.submission.items():
            path = None
            if trained is not None and trained.pretrained:
                seed = middle_seed(trained.values("pretrained", *MAIN_METRICS[trained.task]))
                path = prediction_path(out, task, split, seed)
            if path is not None and path.is_file():
                sources[name] = path.read_bytes()
                rows, official = sources[name].count(b"\n") - 1, task.rows[split]
                if rows != official:
                    problems.append(f"{name} has {rows:,} rows, the leaderboard wants {official:,}")
            else:
                missing.append(name)
    for name, content in sources.items():
        with write_atomically(out / SUBMISSION / name) as file:
            file.write(content)
    _write_zip(out / f"{SUBMISSION}.zip", sources)
    if missing:
        problems.append(f"not in {SUBMISSION}.zip: {', '.join(missing)}")
    return problems


def _write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Write a zip whose bytes depend on its files alone."""
    with write_atomically(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)  # of 1980, the earliest that a zip can say
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
