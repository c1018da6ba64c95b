import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tasks import TASKS
from train.scores import baseline, score

CLASS_METRICS = ("accuracy", "f1", "matthews")
SCORE_METRICS = ("pearson", "spearman")


def test_class_metrics_equal_those_counted_by_hand():
    # true positives 3, false positives 1, false negatives 2, true negatives 2
    labels = np.array([1, 1, 1, 0, 1, 1, 0, 0])
    predictions = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    assert score(CLASS_METRICS, labels, predictions) == {
        "accuracy": pytest.approx(5 / 8),
        "f1": pytest.approx(2 * 3 / (2 * 3 + 1 + 2)),
        "matthews": pytest.approx((3 * 2 - 1 * 2) / math.sqrt(4 * 5 * 3 * 4)),
    }


def test_correlations_equal_those_counted_by_hand():
    labels = np.array([0.0, 1.0, 2.0, 5.0])
    predictions = np.array([1.0, 3.0, 2.0, 4.0])
    # Deviations from the means 2 and 2.5: products 3 - 0.5 + 0 + 4.5, squares 14 and 5.
    # Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * 2 / (4 * 15).
    assert score(SCORE_METRICS, labels, predictions) == {
        "pearson": pytest.approx(7 / math.sqrt(14 * 5)),
        "spearman": pytest.approx(0.8),
    }


@pytest.mark.parametrize("constant", [0, 1])
def test_constant_classes_have_no_matthews_correlation(constant):
    predictions = np.full(6, constant)
    assert score(["matthews"], np.array([0, 1, 1, 0, 1, 1]), predictions) == {"matthews": 0.0}
    assert score(["matthews"], predictions, predictions) == {"matthews": 0.0}


def test_f1_without_any_positive_is_zero():
    zeros = np.zeros(4, dtype=np.int64)
    assert score(["f1"], zeros, zeros) == {"f1": 0.0}
    assert score(["f1"], np.array([0, 1, 1, 0]), zeros) == {"f1": 0.0}


def test_constant_scores_have_no_correlation():
    labels = np.array([0.0, 1.0, 4.0], dtype=np.float32)
    constant = np.full(3, 2.5, dtype=np.float32)
    nothing = {"pearson": 0.0, "spearman": 0.0}
    assert score(SCORE_METRICS, labels, constant) == nothing
    assert score(SCORE_METRICS, constant, labels) == nothing


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1))
def test_class_metrics_are_finite_for_any_predictions(pairs):
    labels, predictions = (np.array(column) for column in zip(*pairs, strict=True))
    scores = score(CLASS_METRICS, labels, predictions)
    assert scores["accuracy"] == np.mean(labels == predictions)
    assert 0 <= scores["f1"] <= 1
    assert -1 <= scores["matthews"] <= 1


def test_an_unknown_metric_is_an_error():
    with pytest.raises(ValueError, match="bleu"):
        score(["bleu"], np.array([1]), np.array([1]))


def test_the_baseline_is_the_majority_of_the_training_rows():
    predictions = baseline(TASKS["mrpc"], np.array([1, 0, 1]), 4)
    assert predictions.tolist() == [1, 1, 1, 1]


def test_the_baseline_of_a_regression_is_the_mean_and_scores_nothing():
    predictions = baseline(TASKS["stsb"], np.array([1.0, 2.0, 3.0], dtype=np.float32), 2)
    assert predictions.tolist() == [2.0, 2.0]
    assert score(SCORE_METRICS, np.array([1.0, 5.0]), predictions)["pearson"] == 0.0
