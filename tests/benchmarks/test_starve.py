"""The parts of the benchmark of feeding a trainer, and one run of it on a few MB of rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import starve
from benchmarks.training.feeding import Meal, feed
from benchmarks.training.hearth import read_batches
from benchmarks.training.rows import write_rows
from shards.reader import ShardFolder
from shards.rules import check_rows

pytestmark = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux")
SIZE = 1_000_000
MEAL = Meal(rows=16, rate=None, seconds=0.05, busy=False, device="cpu", threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder, SIZE, 64, 0.7)
    return folder


def test_what_is_written_is_as_large_and_as_full_as_asked(folder: Path):
    shards = ShardFolder(folder, "train")
    assert sum(path.stat().st_size for path in folder.rglob("*.arrow")) >= SIZE
    lengths = np.concatenate([rows.length for rows in shards.shards()])
    assert lengths.mean() / 64 == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("length", [12, 128, 512])
def test_rows_keep_every_rule_whatever_their_length(tmp_path: Path, length: int):
    write_rows(tmp_path, 50_000, length, 1.0)
    shards = ShardFolder(tmp_path, "train")
    for rows in shards.shards():
        assert list(check_rows(shards.header, rows)) == []


def test_masks_are_as_large_as_their_budget(folder: Path):
    shards = ShardFolder(folder, "train")
    rows = shards.gather(np.arange(200))
    asked = np.bitwise_count(rows.masks.reshape(200, 4, -1)).sum(2)
    budget = np.floor(rows.length * 0.15 + 0.5)
    assert (asked == budget[:, None]).all()


def test_no_row_is_eaten_twice(folder: Path):
    shards = ShardFolder(folder, "train")
    meal = replace(MEAL, rows=len(shards) // 4, seconds=1000.0)
    assert feed(folder, meal).batches == 3


@pytest.mark.parametrize("busy", [False, True])
def test_a_trainer_eats_no_faster_than_it_is_said_to(folder: Path, busy: bool):
    fed = feed(folder, replace(MEAL, rate=2000.0, busy=busy))
    assert 0 < fed.rows_per_s <= 2000
    assert 0 < fed.data_wait < 1
    assert 0 < fed.batch_ms <= fed.longest_ms
    assert fed.anonymous_mb > 1


def test_without_steps_there_is_nothing_but_waiting(folder: Path):
    fed = feed(folder, MEAL)
    assert fed.data_wait > 0.5
    assert fed.first_ms > 0


def test_batches_go_on_from_epoch_to_epoch(folder: Path):
    shards = ShardFolder(folder, "train")
    batches = read_batches(shards, len(shards) - 1, "cpu")
    assert [len(next(batches)[0].input_ids) for _ in range(3)] == [len(shards) - 1] * 3


@pytest.mark.slow
def test_it_ends_with_a_line_of_json(tmp_path: Path):
    sizes = ["--size", "3MB", "--rows", "8", "--seconds", "0.2", "--rounds", "1", "--busy"]
    result = CliRunner().invoke(starve.main, [*sizes, "--folder", str(tmp_path)])
    assert result.exit_code == 0, (result.output, result.exception)
    figures = json.loads(result.output.splitlines()[-1])
    for name in ("rows_per_s", "data_wait", "own_data_wait", "reached_rows_per_s"):
        assert figures[name] > 0
        assert figures[f"cold_{name}"] > 0
    assert figures["own_rows_per_s"] > 0
    assert list(tmp_path.iterdir()) == []
