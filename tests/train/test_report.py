import shutil

import pytest

from shards.errors import DataError
from train.report import report


def test_the_report_draws_the_curves_and_tells_the_last_numbers(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    picture, table = report(tmp_path / "run")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert table.startswith("step 6 of 6, ")
    assert "masked language model loss" in table


def test_a_run_without_a_step_has_no_report(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    with pytest.raises(DataError, match="has no step yet"):
        report(tmp_path / "run")


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(DataError, match=f"no run at {tmp_path}"):
        report(tmp_path)
