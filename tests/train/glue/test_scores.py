"""Every metric is scikit-learn's or scipy's, on any predictions and on those of constants."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tasks import TASKS, Task
from train.glue.scores import baseline, score

TWO = Task(name="two", folder="", rows={}, metrics=("accuracy", "f1", "matthews"))
THREE = replace(TWO, labels=("a", "b", "c"), metrics=("accuracy", "macro_f1"))
SCORED = replace(TWO, kind="regression", labels=(), metrics=("pearson", "spearman"))
MANY = replace(THREE, kind="multi-label", metrics=("micro_f1", "macro_f1"))
TAGGED = replace(TWO, kind="tagging", labels=("B", "I", "O"), metrics=("accuracy", "tag_f1"))


def test_class_metrics_equal_those_counted_by_hand():
    # true positives 3, false positives 1, false negatives 2, true negatives 2
    labels = np.array([1, 1, 1, 0, 1, 1, 0, 0])
    predictions = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    assert score(TWO, labels, predictions) == {
        "accuracy": pytest.approx(5 / 8),
        "f1": pytest.approx(2 * 3 / (2 * 3 + 1 + 2)),
        "matthews": pytest.approx((3 * 2 - 1 * 2) / math.sqrt(4 * 5 * 3 * 4)),
    }


def test_correlations_equal_those_counted_by_hand():
    labels = np.array([0.0, 1.0, 2.0, 5.0])
    predictions = np.array([1.0, 3.0, 2.0, 4.0])
    # Deviations from the means 2 and 2.5: products 3 - 0.5 + 0 + 4.5, squares 14 and 5.
    # Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * 2 / (4 * 15).
    assert score(SCORED, labels, predictions) == {
        "pearson": pytest.approx(7 / math.sqrt(14 * 5)),
        "spearman": pytest.approx(0.8),
    }


def test_tags_outside_count_in_the_accuracy_alone():
    labels = np.array([2, 2, 0, 1, 2, 0])
    predictions = np.array([2, 2, 0, 2, 1, 1])
    # of B and I: 1 right, 2 predicted that are not so, 2 there that are not found
    assert score(TAGGED, labels, predictions) == {
        "accuracy": pytest.approx(3 / 6),
        "tag_f1": pytest.approx(2 * 1 / (2 * 1 + 2 + 2)),
    }


def by_sklearn(task, labels, predictions):
    """Ask scikit-learn and scipy themselves; undefined is 0."""
    f1 = sklearn.metrics.f1_score
    counted = {"zero_division": 0.0}
    asked = {
        "accuracy": lambda: sklearn.metrics.accuracy_score(labels, predictions),
        "matthews": lambda: sklearn.metrics.matthews_corrcoef(labels, predictions),
        "f1": lambda: f1(labels, predictions, **counted),
        "macro_f1": lambda: f1(
            labels, predictions, labels=range(len(task.labels)), average="macro", **counted
        ),
        "micro_f1": lambda: f1(labels, predictions, average="micro", **counted),
        "tag_f1": lambda: f1(labels, predictions, labels=[0, 1], average="micro", **counted),
        "pearson": lambda: scipy.stats.pearsonr(labels, predictions)[0],
        "spearman": lambda: scipy.stats.spearmanr(labels, predictions)[0],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants
        return {metric: float(np.nan_to_num(asked[metric]())) for metric in task.metrics}


def columns(values):
    return st.lists(st.tuples(values, values), min_size=2, max_size=40).map(
        lambda pairs: tuple(np.array(column) for column in zip(*pairs, strict=True))
    )


@settings(max_examples=30)
@given(st.sampled_from([TWO, THREE, TAGGED]), st.data())
def test_metrics_of_classes_are_scikit_learn_s(task, data):
    pairs = columns(st.integers(0, len(task.labels) - 1))
    labels, predictions = data.draw(pairs)
    assert score(task, labels, predictions) == by_sklearn(task, labels, predictions)


@settings(max_examples=30)
@given(columns(st.integers(0, 20).map(lambda tenths: tenths / 4)))
def test_correlations_are_scipy_s(pair):
    assert score(SCORED, *pair) == by_sklearn(SCORED, *pair)


@settings(max_examples=30)
@given(columns(st.tuples(st.booleans(), st.booleans(), st.booleans())))
def test_metrics_of_many_labels_are_scikit_learn_s(pair):
    assert score(MANY, *pair) == by_sklearn(MANY, *pair)


@pytest.mark.parametrize("constant", [0, 1])
def test_constant_classes_have_no_matthews_correlation(constant):
    predictions = np.full(6, constant)
    labels = np.array([0, 1, 1, 0, 1, 1])
    assert score(TASKS["cola"], labels, predictions) == {"matthews": 0.0}
    assert score(TASKS["cola"], predictions, predictions) == {"matthews": 0.0}
    found = score(TWO, labels, predictions)
    assert found == by_sklearn(TWO, labels, predictions)
    assert found["accuracy"] == (4 if constant else 2) / 6


def test_f1_without_any_positive_is_zero():
    zeros = np.zeros(4, dtype=np.int64)
    assert score(TASKS["mrpc"], zeros, zeros) == {"accuracy": 1.0, "f1": 0.0}
    nothing = np.zeros((4, 3), dtype=np.bool_)
    assert score(MANY, nothing, nothing) == {"micro_f1": 0.0, "macro_f1": 0.0}
    outside = np.full(4, 2)
    assert score(TAGGED, outside, outside) == {"accuracy": 1.0, "tag_f1": 0.0}


def test_constant_scores_have_no_correlation():
    labels = np.array([0.0, 1.0, 4.0], dtype=np.float32)
    constant = np.full(3, 2.5, dtype=np.float32)
    nothing = {"pearson": 0.0, "spearman": 0.0}
    assert score(TASKS["stsb"], labels, constant) == nothing
    assert score(TASKS["stsb"], constant, labels) == nothing


def test_scores_that_hardly_differ_are_told_apart_without_a_warning():
    labels = np.array([0.0, 1.0, 4.0], dtype=np.float32)
    step = np.float32(2.5).item() * 2**-22
    almost = np.array([2.5, 2.5 + step, 2.5 + 2 * step], dtype=np.float32)
    assert score(TASKS["stsb"], labels, almost)["spearman"] == 1.0
    assert score(TASKS["stsb"], labels, almost)["pearson"] > 0.9


def test_an_unknown_metric_is_an_error():
    with pytest.raises(ValueError, match="bleu"):
        score(replace(TWO, metrics=("bleu",)), np.array([1]), np.array([1]))


def test_the_baseline_is_the_majority_of_the_training_rows():
    predictions = baseline(TASKS["mrpc"], np.array([1, 0, 1]), np.array([0, 0, 1, 0]))
    assert predictions.tolist() == [1, 1, 1, 1]
    tags = baseline(TAGGED, np.array([2, 2, 0]), np.array([1, 2]))
    assert tags.tolist() == [2, 2]


def test_the_baseline_of_a_regression_is_the_mean_and_scores_nothing():
    labels = np.array([1.0, 5.0], dtype=np.float32)
    predictions = baseline(TASKS["stsb"], np.array([1.0, 2.0, 3.0], dtype=np.float32), labels)
    assert predictions.tolist() == [2.0, 2.0]
    assert score(TASKS["stsb"], labels, predictions) == {"pearson": 0.0, "spearman": 0.0}


def test_the_baseline_of_many_labels_has_those_of_most_rows():
    train = np.array([[True, False, True], [True, True, False], [True, False, False]])
    predictions = baseline(MANY, train, np.zeros((2, 3), dtype=np.bool_))
    assert predictions.tolist() == [[True, False, False]] * 2
