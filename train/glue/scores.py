"""The metrics of GLUE and of other tasks, by scikit-learn and scipy, and what needs no model.

All are fractions, higher is better. A correlation with something constant is undefined (scipy
gives nan, scikit-learn 0 for Matthews'); it is 0 here: nothing was learnt. So is an F1 of a class
that is neither there nor predicted.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks import Task
from shards.errors import DataError

CORRELATIONS = ("matthews", "pearson", "spearman")
OUTSIDE = "O"
"""The tag of a word that is part of nothing."""


def check_packages() -> None:
    """Import what the metrics need, so that a missing package is told before hours of training.

    Raises:
        DataError: scikit-learn or scipy is not installed.
    """
    try:
        import scipy.stats  # noqa: F401
        import sklearn.metrics  # noqa: F401
    except ImportError as error:
        problem = f"the metrics of glue need a package that is not installed ({error})"
        raise DataError(problem, 'run `pip install -e ".[glue]"`') from error


def score(task: Task, labels: NDArray[Any], predictions: NDArray[Any]) -> dict[str, float]:
    """Return each metric of `task`.

    Args:
        task: Its metrics are some of "accuracy", "f1" (of class 1 of two), "macro_f1" (the mean
            over classes), "micro_f1" (over all labels of all rows), "tag_f1" (over all tags but
            "O"), "matthews", "pearson", "spearman".
        labels: (N,) class numbers, (N,) scores of a regression, (N, C) bool of a multi-label task,
            or the class numbers of all tagged words.
        predictions: The same, as predicted.
    """
    return {metric: _score_one(metric, task, labels, predictions) for metric in task.metrics}


def _score_one(metric: str, task: Task, labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import accuracy_score, matthews_corrcoef

    if metric in CORRELATIONS and (np.ptp(labels) == 0 or np.ptp(predictions) == 0):
        return 0.0
    match metric:
        case "accuracy":
            return float(accuracy_score(labels, predictions))
        case "f1" | "macro_f1" | "micro_f1" | "tag_f1":
            return _f1(metric, task, labels, predictions)
        case "matthews":
            return float(matthews_corrcoef(labels, predictions))
        case "pearson":
            return float(pearsonr(labels.astype(float), predictions.astype(float)).statistic)
        case "spearman":
            return float(spearmanr(labels, predictions).statistic)
        case _:
            raise ValueError(f"no metric {metric!r}")


def _f1(metric: str, task: Task, labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from sklearn.metrics import f1_score

    average = {"f1": "binary", "macro_f1": "macro"}.get(metric, "micro")
    classes: list[int] | None = None
    if metric == "tag_f1":
        classes = [index for index, name in enumerate(task.labels) if name != OUTSIDE]
    elif metric == "macro_f1":
        classes = list(range(len(task.labels)))  # one that no row has counts, as 0
    found = f1_score(labels, predictions, labels=classes, average=average, zero_division=0.0)
    return float(found)


def baseline(task: Task, train_labels: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Return what needs no model, in the shape of `labels`.

    It is the most frequent class (tag) of the training rows, their mean score, or, of a multi-label
    task, each label that more than half of them have.
    """
    if task.kind == "regression":
        return np.full_like(labels, train_labels.mean())
    if task.kind == "multi-label":
        return np.broadcast_to(train_labels.mean(0) > 0.5, labels.shape)
    return np.full_like(labels, np.bincount(train_labels).argmax())
