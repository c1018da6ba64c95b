"""The GLUE tasks: what each file holds, how it is read, and how it is scored.

Columns, labels and row counts are those of https://dl.fbaipublicfiles.com/glue/data/ (Wang et al.
2018, arXiv 1804.07461, table 1). The files are not CSV: a quotation mark is a character like any
other, a line ends at a newline only, some begin with a byte order mark, CoLA has no header, and a
few rows of QQP lack a field. Row counts of QQP's and MNLI's test files are those of
https://huggingface.co/datasets/nyu-mll/glue. Downloading is `pipeline.readers.glue`; fine-tuning is
`train.glue`; a task of one's own is `pipeline.own_tasks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shards.errors import DataError

AGAIN = "replace the file it came from, then run `python cli.py fetch glue --from FOLDER` again"

Kind = Literal["classification", "regression", "multi-label", "tagging"]
"""What is to be told: one class, a number, a set of classes, or a class for every word."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task, GLUE's or somebody's own.

    Attributes:
        name: The name on the command line.
        folder: The folder inside the official zip, and under data/glue.
        kind: What is to be told.
        rows: Official row count of each split, None where it is not published; the names of the
            splits are those of the files without `.tsv`.
        first: Column of the first text.
        second: Column of the second text, or None for a task of single sentences.
        label: Column of the label; test files mostly lack it.
        labels: The label strings in the order of their class numbers; empty for a regression.
        label_range: Lowest and highest score of a regression.
        metrics: What the leaderboard reports, see `train.glue.scores`.
        columns: The columns of train and dev files that have no header line.
        symmetric: Whether the order of the two texts means nothing, so that ELECTRA trains on both
            (`double_unordered` in finetune/classification/classification_tasks.py).
    """

    name: str
    folder: str
    kind: Kind = "classification"
    rows: Mapping[str, int | None]
    first: str = "sentence1"
    second: str | None = "sentence2"
    label: str = "label"
    labels: tuple[str, ...] = ("0", "1")
    label_range: tuple[float, float] = (0.0, 1.0)
    metrics: tuple[str, ...] = ("accuracy",)
    columns: tuple[str, ...] | None = None
    symmetric: bool = False

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number to be estimated instead of a class."""
        return self.kind == "regression"

    @property
    def num_outputs(self) -> int:
        """The numbers that a model gives for each row, or in tagging for each word."""
        return 1 if self.is_regression else len(self.labels)

    @property
    def dev_splits(self) -> tuple[str, ...]:
        """The splits that are scored: `dev`, or MNLI's two; none for AX."""
        return tuple(split for split in self.rows if split.startswith("dev"))

    @property
    def test_splits(self) -> tuple[str, ...]:
        """The splits that only the leaderboard scores."""
        return tuple(split for split in self.rows if split.startswith("test"))

    @property
    def submission(self) -> dict[str, str]:
        """The leaderboard's file of each test split (https://gluebenchmark.com/faq)."""
        return {split: f"{self.folder}{_ENDINGS[split]}.tsv" for split in self.test_splits}

    def path(self, folder: Path, split: str) -> Path:
        """Return where `split` lies under the folder of all tasks."""
        return folder / self.folder / f"{split}.tsv"


@dataclass(frozen=True)
class Examples:
    """The rows of one split, as columns.

    Attributes:
        first: First texts, as they stand in the file.
        second: Second texts, or None for a task of single sentences.
        labels: (N,) int64 class numbers, -1 without label; (N,) float32 scores of a regression, nan
            without; (N, C) bool of a multi-label task, (N, 0) without; in tagging (words,) int64,
            those of all rows in turn.
        skipped: Rows left out because a field is missing or left over.
        words: Words of each row in tagging, where `first` is these joined by spaces; else None.
    """

    first: list[str]
    second: list[str] | None
    labels: NDArray[Any]
    skipped: int
    words: list[list[str]] | None = None

    def __len__(self) -> int:
        """Return the number of usable rows."""
        return len(self.first)

    @property
    def is_labelled(self) -> bool:
        """Whether the rows have labels; those of test files mostly have none."""
        is_score = self.labels.dtype.kind == "f"
        is_none = np.isnan(self.labels) if is_score else self.labels < 0
        return self.labels.size > 0 and not bool(is_none.any())

    def is_partial(self, official: int | None) -> bool:
        """Return whether the file has fewer rows than the official one (unusable ones count)."""
        return official is not None and len(self) + self.skipped < official


def _splits(train: int, dev: int, test: int) -> dict[str, int]:
    return {"train": train, "dev": dev, "test": test}


_ENDINGS = {"test": "", "test_matched": "-m", "test_mismatched": "-mm"}
_ENTAILMENT = ("entailment", "not_entailment")
_MNLI_LABELS = ("contradiction", "neutral", "entailment")

_ALL_TASKS = (
    Task(
        name="cola",
        folder="CoLA",
        rows=_splits(8551, 1043, 1063),
        first="sentence",
        second=None,
        metrics=("matthews",),
        columns=("source", "label", "mark", "sentence"),
    ),
    Task(
        name="sst2", folder="SST-2", rows=_splits(67349, 872, 1821), first="sentence", second=None
    ),
    Task(
        name="mrpc",
        folder="MRPC",
        rows=_splits(3668, 408, 1725),
        first="#1 String",
        second="#2 String",
        label="Quality",
        metrics=("accuracy", "f1"),
        symmetric=True,
    ),
    Task(
        name="stsb",
        folder="STS-B",
        kind="regression",
        rows=_splits(5749, 1500, 1379),
        label="score",
        labels=(),
        label_range=(0.0, 5.0),
        metrics=("pearson", "spearman"),
        symmetric=True,
    ),
    Task(
        name="qqp",
        folder="QQP",
        rows=_splits(363846, 40430, 390965),
        first="question1",
        second="question2",
        label="is_duplicate",
        metrics=("accuracy", "f1"),
    ),
    Task(
        name="mnli",
        folder="MNLI",
        rows={
            "train": 392702,
            "dev_matched": 9815,
            "dev_mismatched": 9832,
            "test_matched": 9796,
            "test_mismatched": 9847,
        },
        label="gold_label",  # the last column; label1 to label5 are single annotators'
        labels=_MNLI_LABELS,
    ),
    Task(
        name="qnli",
        folder="QNLI",
        rows=_splits(104743, 5463, 5463),
        first="question",
        second="sentence",
        labels=_ENTAILMENT,
    ),
    Task(name="rte", folder="RTE", rows=_splits(2490, 277, 3000), labels=_ENTAILMENT),
    Task(name="wnli", folder="WNLI", rows=_splits(635, 71, 146)),
    Task(name="ax", folder="AX", rows={"test": 1104}, labels=_MNLI_LABELS),
)
TASKS: dict[str, Task] = {task.name: task for task in _ALL_TASKS}
"""Every task by its name on the command line."""

SCORED_TASKS = tuple(task.name for task in _ALL_TASKS if task.dev_splits)
"""The names that `all` stands for; AX has no labels, only the leaderboard scores it."""


def choose_tasks(names: Sequence[str]) -> tuple[str, ...]:
    """Return the tasks that `names` stand for, each once; "all" stands for every scored one.

    Raises:
        ValueError: A name is no scored task of GLUE, or there is none.
    """
    known = ", ".join(("all", *SCORED_TASKS))
    if not names:
        raise ValueError(f"no task named: choose from {known}")
    chosen: list[str] = []
    for name in (name.strip() for name in names):
        if name not in ("all", *SCORED_TASKS):
            raise ValueError(f"no task {name!r}: choose from {known}")
        chosen += SCORED_TASKS if name == "all" else [name]
    return tuple(dict.fromkeys(chosen))


def read_examples(task: Task, folder: Path, split: str) -> Examples:
    """Read `folder/TASK/split.tsv` as it was published.

    Rows with a field too few or too many are skipped and counted; nothing else is changed.

    Raises:
        DataError: The file is missing, empty or not UTF-8, lacks a column, or has a wrong label.
    """
    path = task.path(folder, split)
    lines = _read_lines(path)
    columns = list(task.columns or ())
    if task.columns is None or split.startswith("test"):
        _, columns = next(lines, (1, []))
    at_first = _column(path, columns, task.first)
    at_second = None if task.second is None else _column(path, columns, task.second)
    is_unlabelled = split.startswith("test") and task.label not in columns
    at_label = None if is_unlabelled else _column(path, columns, task.label)
    first, second, labels, skipped = [], [], [], 0
    for number, fields in lines:
        if len(fields) != len(columns):
            skipped += 1
            continue
        first.append(fields[at_first])
        if at_second is not None:
            second.append(fields[at_second])
        if at_label is not None:
            labels.append(_parse_label(task, fields[at_label], f"{path}, line {number}"))
    if not first:
        raise DataError(f"{path} has no usable row ({skipped} skipped)", AGAIN)
    array = _label_array(task, labels, len(first))
    return Examples(first, second if task.second else None, array, skipped)


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of every line."""
    if not path.is_file():
        raise DataError(f"no file {path}", "run `python cli.py fetch glue --from FOLDER` first")
    number = 0
    try:
        # utf-8-sig drops a byte order mark; newline="\n" keeps every other line separator as text.
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for line in file:
                number += 1
                yield number, line.removesuffix("\n").split("\t")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 after line {number} ({error})", AGAIN) from error


def _column(path: Path, columns: list[str], name: str) -> int:
    if name not in columns:
        raise DataError(f"{path} has no column {name!r} in its header {columns}", AGAIN)
    return columns.index(name)


def _parse_label(task: Task, text: str, where: str) -> float:
    if not task.is_regression:
        if text not in task.labels:
            raise DataError(f"{where}: the label {text!r} is none of {list(task.labels)}", AGAIN)
        return task.labels.index(text)
    low, high = task.label_range
    try:
        score = float(text)
    except ValueError as error:
        raise DataError(f"{where}: the score {text!r} is not a number", AGAIN) from error
    if not low <= score <= high:
        raise DataError(f"{where}: the score {text!r} is not between {low} and {high}", AGAIN)
    return score


def _label_array(task: Task, labels: list[float], rows: int) -> NDArray[Any]:
    if task.is_regression:
        return np.array(labels or [np.nan] * rows, dtype=np.float32)
    return np.array(labels or [-1] * rows, dtype=np.int64)
