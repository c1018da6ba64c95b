"""The parts of the benchmark of reading, and one run of it on a few MB of rows."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import read
from benchmarks.reading.alone import read_epoch
from benchmarks.reading.disk import disk_rates, evict, limited_memory
from benchmarks.reading.peers import check_equal, in_memory, ours, rate
from benchmarks.reading.rows import HEADER, shards_for, write_rows
from benchmarks.reading.shuffle import quality
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows

pytestmark = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux")
SIZE = 3_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder, SIZE)
    return folder


def test_at_least_so_many_bytes_are_written(folder: Path):
    paths = sorted(folder.rglob("*.arrow"))
    assert len(paths) == 4
    assert sum(path.stat().st_size for path in paths) >= SIZE
    assert len(ShardFolder(folder, "train")) * HEADER.row_bytes >= SIZE


def test_both_numpy_sides_give_batches_of_all_columns(folder: Path):
    shards = ShardFolder(folder, "train")
    tensors = next(ours(ShuffledRows(shards, seed=0), 0))
    arrays = next(in_memory(shards, seed=0))
    assert [tuple(one.shape) for one in tensors] == [one.shape for one in arrays]
    assert rate(iter([arrays, arrays]), 2)[0] > 0


def test_the_shards_are_of_the_size_that_pack_writes():
    assert (shards_for(2_000_000_000), shards_for(1)) == (50, 4)


def test_filling_a_buffer_before_the_first_batch_is_not_counted():
    def batches():
        time.sleep(0.5)
        for _ in range(11):
            time.sleep(0.001)
            yield [np.empty(100)]

    rows_per_s, cores = rate(batches(), 400)
    assert 1000 / 0.4 < rows_per_s < 1000 / 0.01
    assert 0 <= cores < 2


def test_a_ratio_is_that_of_the_rates_beside_it():
    rates = {
        "hearth": [100.0, 300.0, 200.0],
        "hearth, int64": [80.0, 60.0, 100.0],
        "plain gather": [100.0, 400.0, 500.0],
        "shuffle": [10.0, 5.0, 1.0],
        "stream": [20.0, 20.0, 50.0],
    }
    assert read.ratios(rates) == {
        "ratio": 40.0,
        "ratio_streamed": 10.0,
        "ratio_int64": 16.0,
        "rows_per_s": 200,
        "of_gather_rate": 0.5,
    }


def test_sides_that_differ_stop_the_benchmark(folder: Path):
    shards = ShardFolder(folder, "train")
    rows = shards.gather(np.arange(5))
    theirs = dict(
        zip(vars(rows), next(ours(ShuffledRows(shards, 0), 0, as_int64=True)), strict=True)
    )
    with pytest.raises(SystemExit, match="input_ids differs"):
        check_equal(rows, theirs)
    del theirs["masks"]
    with pytest.raises(SystemExit, match="columns"):
        check_equal(rows, theirs)


def test_an_epoch_is_measured(folder: Path):
    epoch = read_epoch(folder, None)
    assert 0 < epoch.slowest_rows_per_s <= 1e9
    assert 0 < epoch.open_ms < epoch.first_ms
    assert epoch.anonymous_mb > 1


def test_files_are_evicted_and_the_disk_is_measured(folder: Path):
    paths = sorted(folder.rglob("*.arrow"))
    assert 0 <= evict(paths) <= 1
    assert min(disk_rates(paths)) > 0


def test_a_memory_group_lasts_as_long_as_it_is_used():
    with limited_memory(10**9) as group:
        if group is None:
            pytest.skip("no memory cgroup can be made here")
        assert (group / "cgroup.procs").exists()
    assert not group.exists()


def test_an_epoch_is_as_well_shuffled_as_a_random_order(folder: Path):
    found = quality(ShardFolder(folder, "train"), seed=0)
    ours, chance = found["positions between rows of a document, median"]
    assert ours == pytest.approx(chance, rel=0.05)
    for name in ("rank correlation of position and row", "autocorrelation of the row, lag 1"):
        assert abs(found[name][0]) < 0.1


@pytest.mark.slow
def test_the_benchmark_ends_with_a_line_of_json(tmp_path: Path):
    pytest.importorskip("datasets")
    result = CliRunner().invoke(read.main, ["--size", "5MB", "--folder", str(tmp_path)])
    assert result.exit_code == 0, result.output
    last = json.loads(result.output.splitlines()[-1])
    wanted = {"ratio", "ratio_streamed", "cold_ratio_streamed", "open_ms_per_shard", "rows_per_s"}
    wanted |= {"cold_rows_per_s", "of_gather_rate", "anon_mb_growth"}
    assert wanted <= last.keys()
    assert last["rows_per_s"] > 0
    assert list(tmp_path.iterdir()) == []
