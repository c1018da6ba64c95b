"""A task of one's own: a folder with train and dev rows, and a line that says what is to be told.

    FOLDER/task.txt      one of the names in `FORMS`
    FOLDER/train.tsv     or train.jsonl; dev likewise, and test if there is one

Texts stand in the column `text`, those of pairs in `text1` and `text2`; the label in `label`. The
labels of a multi-label task are in `labels`, and the words and tags of tagging in `words` and
`tags`: lists in .jsonl; in .tsv labels are divided by "|", words and tags by a space. Columns of
other names are left alone. As in GLUE's files a quotation mark in a .tsv is a character.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.own_rows import (
    Row,
    check_text,
    is_there,
    list_of,
    own_path,
    read_rows,
    text_of,
    value_of,
    words_of,
)
from pipeline.tasks import Examples, Kind, Task
from shards.errors import DataError

TASK_FILE = "task.txt"
LARGEST_SCORE = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Form:
    """What a folder of one kind holds: its columns of texts, one text or two, and of labels."""

    kind: Kind
    texts: tuple[tuple[str, ...], ...]
    label: str


_ONE, _TWO = ("text",), ("text1", "text2")
FORMS = {
    "classification": Form("classification", (_ONE,), "label"),
    "pair classification": Form("classification", (_TWO,), "label"),
    "multi-label": Form("multi-label", (_ONE, _TWO), "labels"),
    "token tagging": Form("tagging", (("words",),), "tags"),
    "regression": Form("regression", (_ONE, _TWO), "label"),
}
"""By the line in task.txt."""


def read_own_task(folder: Path) -> Task:
    """Read what is to be told, and from train's rows the labels that there are.

    Label names are sorted; where all are numbers, by their value.

    Raises:
        DataError: A file is missing or broken, or train has fewer than two labels.
    """
    form = _read_form(folder)
    rows = {split: None for split in ("train", "dev", "test") if is_there(folder, split)}
    path = own_path(folder, "train")
    own_path(folder, "dev")
    train = list(read_rows(path))
    texts = _text_columns(path, form, train)
    task = Task(
        name=folder.resolve().name,
        folder=str(folder),
        kind=form.kind,
        rows=rows,
        first=texts[0],
        second=texts[1] if len(texts) > 1 else None,
        label=form.label,
    )
    if task.is_regression:
        scores = [_score(row, value_of(row, form.label)) for row in train]
        task = replace(task, labels=(), label_range=(min(scores), max(scores)))
    else:
        found = {name for row in train for name in _names(row, task)}
        task = replace(task, labels=_sort_names(found))
    if len(set(task.label_range if task.is_regression else task.labels)) < 2:
        raise DataError(f"{path} has the same label in every row", "add rows with other labels")
    return replace(task, metrics=_metrics(task))


def read_own_examples(task: Task, folder: Path, split: str) -> Examples:
    """Read the rows of one split; those of test may be without labels.

    Raises:
        DataError: The file is missing or broken, or has a label that train has not.
    """
    rows = list(read_rows(own_path(folder, split)))
    is_unlabelled = split == "test" and not any(task.label in row.values for row in rows)
    if task.kind == "tagging":
        words = [words_of(row) for row in rows]
        labels = [np.full(len(one), -1) for one in words]
        if not is_unlabelled:
            labels = [np.array(_classes(row, task)) for row in rows]
        return Examples([" ".join(one) for one in words], None, np.concatenate(labels), 0, words)
    first = [text_of(row, task.first) for row in rows]
    second = None if task.second is None else [text_of(row, task.second) for row in rows]
    return Examples(first, second, _labels(rows, task, is_unlabelled), 0)


def _read_form(folder: Path) -> Form:
    path = folder / TASK_FILE
    remedy = f"write one line into it: {', '.join(FORMS)}"
    if not path.is_file():
        raise DataError(f"no file {path}", remedy)
    try:
        name = path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error})", remedy) from error
    if name not in FORMS:
        raise DataError(f"{path} says {name[:60]!r}, which is no kind of task", remedy)
    return FORMS[name]


def _text_columns(path: Path, form: Form, rows: Sequence[Row]) -> tuple[str, ...]:
    for columns in form.texts:
        if all(column in rows[0].values for column in columns):
            return columns
    wanted = " or ".join(" and ".join(columns) for columns in form.texts)
    problem = f"{path} has the columns {', '.join(rows[0].values)}, not {wanted}"
    raise DataError(problem, f"name them so, or change {TASK_FILE}")


def _name(row: Row, label: object) -> str:
    """Return the name of a label; in .jsonl it may be a whole number, true or false."""
    name = json.dumps(label) if isinstance(label, int) else label
    if not isinstance(name, str) or not name:
        raise row.error(f"the label {json.dumps(label)[:40]} is no name")
    return check_text(row, "label", name)


def _names(row: Row, task: Task) -> list[str]:
    """Return the names of a row's labels, or tags."""
    if task.kind == "classification":
        return [_name(row, value_of(row, task.label))]
    names = [_name(row, label) for label in list_of(row, task.label)]
    if task.kind == "tagging" and len(names) != len(words := words_of(row)):
        raise row.error(f"it has {len(words)} words and {len(names)} tags")
    return names


def _sort_names(names: set[str]) -> tuple[str, ...]:
    try:
        values = {name: float(name) for name in names}
    except ValueError:
        return tuple(sorted(names))
    if not all(map(isfinite, values.values())):
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (values[name], name)))


def _metrics(task: Task) -> tuple[str, ...]:
    if task.kind == "classification":
        two = len(task.labels) == 2
        return ("accuracy", "f1", "matthews") if two else ("accuracy", "macro_f1")
    return {
        "regression": ("pearson", "spearman"),
        "multi-label": ("micro_f1", "macro_f1"),
        "tagging": ("accuracy", "tag_f1"),
    }[task.kind]


def _classes(row: Row, task: Task) -> list[int]:
    names = _names(row, task)
    for name in names:
        if name not in task.labels:
            problem = f"the label {name!r} is none of train's: {', '.join(task.labels)}"
            raise row.error(problem[:300], "correct it, or add rows with it to train")
    return [task.labels.index(name) for name in names]


def _score(row: Row, label: object) -> float:
    try:
        score = float(label) if isinstance(label, str | int | float) else np.nan
    except (ValueError, OverflowError):
        score = np.nan
    if isinstance(label, bool) or not abs(score) <= LARGEST_SCORE:
        raise row.error(f"the label {json.dumps(label)[:40]} is not a number")
    return score


def _labels(rows: Sequence[Row], task: Task, is_unlabelled: bool) -> NDArray[Any]:
    """Return the labels of rows that are not tagged."""
    if task.is_regression:
        scores = [
            np.nan if is_unlabelled else _score(row, value_of(row, task.label)) for row in rows
        ]
        return np.array(scores, np.float32)
    if task.kind == "multi-label":
        labels = np.zeros((len(rows), 0 if is_unlabelled else len(task.labels)), np.bool_)
        for index, row in enumerate(() if is_unlabelled else rows):
            labels[index, _classes(row, task)] = True
        return labels
    classes = [-1 if is_unlabelled else _classes(row, task)[0] for row in rows]
    return np.array(classes, np.int64)
