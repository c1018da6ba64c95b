"""Predictions on dev, and the leaderboard's zip: names, words, rows."""

import zipfile

import numpy as np
import pytest

from pipeline.tasks import TASKS
from tests.train.glue.made import glue_results, task_results
from train.glue.submission import (
    prediction_path,
    words_of,
    write_dev_predictions,
    write_submission,
    write_test_predictions,
)

WORDS = {
    "cola": ["0", "1"],
    "sst2": ["0", "1"],
    "mrpc": ["0", "1"],
    "qqp": ["0", "1"],
    "wnli": ["0", "1"],
    "mnli": ["contradiction", "neutral", "entailment"],
    "ax": ["contradiction", "neutral", "entailment"],
    "qnli": ["entailment", "not_entailment"],
    "rte": ["entailment", "not_entailment"],
}
ROWS = {
    "CoLA.tsv": 1063,
    "SST-2.tsv": 1821,
    "MRPC.tsv": 1725,
    "STS-B.tsv": 1379,
    "QQP.tsv": 390965,
    "MNLI-m.tsv": 9796,
    "MNLI-mm.tsv": 9847,
    "QNLI.tsv": 5463,
    "RTE.tsv": 3000,
    "WNLI.tsv": 146,
    "AX.tsv": 1104,
}
"""The leaderboard's files, and the lines that it wants in each after the header."""


@pytest.mark.parametrize("name", WORDS)
def test_classes_are_written_in_the_leaderboard_s_words(name):
    assert words_of(TASKS[name], np.arange(len(WORDS[name]))) == WORDS[name]


def test_file_names_and_row_counts_are_the_leaderboard_s():
    found = {
        name: task.rows[split] for task in TASKS.values() for split, name in task.submission.items()
    }
    assert found == ROWS


def test_test_predictions_are_numbered_from_0_under_a_header(tmp_path):
    path = tmp_path / "a.tsv"
    write_test_predictions(path, TASKS["rte"], np.array([1, 0]))
    assert path.read_bytes() == b"index\tprediction\n0\tnot_entailment\n1\tentailment\n"


def test_scores_are_plain_numbers_from_0_to_5(tmp_path):
    path = tmp_path / "a.tsv"
    scores = np.array([-0.25, 1e-7, 2.5, 3.1234567, 5.5, 5], dtype=np.float32)
    write_test_predictions(path, TASKS["stsb"], scores)
    lines = path.read_text().splitlines()[1:]
    assert [line.split("\t")[1] for line in lines] == [
        *("0", "0.0000001", "2.5", "3.1234567", "5", "5"),
    ]


def test_dev_predictions_stand_beside_their_labels(tmp_path):
    path = prediction_path(tmp_path, TASKS["mnli"], "dev_matched", 2)
    write_dev_predictions(path, TASKS["mnli"], np.array([2, 0]), np.array([1, 0]))
    assert path.name == "mnli-dev_matched-seed-2.tsv"
    assert path.read_text().splitlines() == [
        "index\tlabel\tprediction",
        "0\tentailment\tneutral",
        "1\tcontradiction\tcontradiction",
    ]


def answer(out, name, split, seeds, rows=2):
    """Write test predictions whose class tells the seed."""
    for seed in range(seeds):
        path = prediction_path(out, TASKS[name], split, seed)
        write_test_predictions(path, TASKS[name], np.full(rows, seed))


def test_the_zip_holds_the_seed_in_the_middle_and_names_what_is_not_there(tmp_path):
    answer(tmp_path, "rte", "test", 2)
    answer(tmp_path, "ax", "test", 3)
    answer(tmp_path, "mnli", "test_matched", 3)
    answer(tmp_path, "mnli", "test_mismatched", 3)
    results = glue_results(
        task_results("rte", (0.8, 0.7)),
        task_results("mnli", (0.5, 0.7, 0.6)),
        task_results("cola", ()),
    )
    *_, line = write_submission(results, tmp_path)
    assert line == (
        "not in submission.zip: CoLA.tsv, SST-2.tsv, MRPC.tsv, STS-B.tsv, QQP.tsv, QNLI.tsv, "
        "WNLI.tsv"
    )
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        names = archive.namelist()
        contents = {name: archive.read(name).decode() for name in names}
    assert names == ["MNLI-m.tsv", "MNLI-mm.tsv", "RTE.tsv", "AX.tsv"]
    assert contents["RTE.tsv"].splitlines()[1] == "0\tnot_entailment"  # seed 1: the lower middle
    assert contents["AX.tsv"].splitlines()[1] == "0\tentailment"  # seed 2 of MNLI
    assert contents["MNLI-mm.tsv"] == contents["AX.tsv"]
    assert sorted(path.name for path in (tmp_path / "submission").iterdir()) == sorted(names)


def test_the_zip_has_the_same_bytes_every_time(tmp_path):
    answer(tmp_path, "rte", "test", 1)
    results = glue_results(task_results("rte", (0.8,)))
    write_submission(results, tmp_path)
    before = (tmp_path / "submission.zip").read_bytes()
    write_submission(results, tmp_path)
    assert (tmp_path / "submission.zip").read_bytes() == before


def test_too_few_test_rows_are_told(tmp_path):
    answer(tmp_path, "wnli", "test", 1)
    problems = write_submission(glue_results(task_results("wnli", (0.8,))), tmp_path)
    assert problems[0] == "WNLI.tsv has 2 rows, the leaderboard wants 146"
    answer(tmp_path, "wnli", "test", 1, rows=146)
    problems = write_submission(glue_results(task_results("wnli", (0.8,))), tmp_path)
    assert [problem.partition(":")[0] for problem in problems] == ["not in submission.zip"]
