"""GLUE's metrics, by scikit-learn and scipy, and the baseline that needs no model.

All are fractions, higher is better. A correlation with something constant is undefined (scipy
gives nan, scikit-learn 0 for Matthews'); it is 0 here: nothing was learnt.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks import Task
from shards.errors import DataError

CORRELATIONS = ("matthews", "pearson", "spearman")


def check_packages() -> None:
    """Import what the metrics need, so that a missing package is told before hours of training.

    Raises:
        DataError: scikit-learn or scipy is not installed.
    """
    try:
        import scipy.stats  # noqa: F401
        import sklearn.metrics  # noqa: F401
    except ImportError as error:
        problem = f"GLUE's metrics need a package that is not installed ({error})"
        raise DataError(problem, 'run `pip install -e ".[glue]"`') from error


def score(
    metrics: Sequence[str], labels: NDArray[Any], predictions: NDArray[Any]
) -> dict[str, float]:
    """Return each metric of `predictions` against `labels`, both (N,).

    Args:
        metrics: Some of "accuracy", "f1" (of class 1), "matthews", "pearson", "spearman".
        labels: Class numbers, or scores of a regression.
        predictions: The same, as predicted.
    """
    return {metric: _score_one(metric, labels, predictions) for metric in metrics}


def _score_one(metric: str, labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    if metric in CORRELATIONS and (np.ptp(labels) == 0 or np.ptp(predictions) == 0):
        return 0.0
    match metric:
        case "accuracy":
            return float(accuracy_score(labels, predictions))
        case "f1":
            return float(f1_score(labels, predictions, zero_division=0.0))
        case "matthews":
            return float(matthews_corrcoef(labels, predictions))
        case "pearson":
            return float(pearsonr(labels, predictions).statistic)
        case "spearman":
            return float(spearmanr(labels, predictions).statistic)
        case _:
            raise ValueError(f"no metric {metric!r}")


def baseline(task: Task, train_labels: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return what needs no model: the majority class of the training rows, or their mean score."""
    if task.is_regression:
        return np.full(rows, train_labels.mean())
    return np.full(rows, np.bincount(train_labels).argmax())
