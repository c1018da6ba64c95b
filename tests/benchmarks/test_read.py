"""The parts of the benchmark of reading, and one run of it on a few MB of rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import read
from benchmarks.reading.alone import read_epoch
from benchmarks.reading.disk import disk_rates, evict, limited_memory
from benchmarks.reading.peers import check_equal, in_memory, ours, rate
from benchmarks.reading.rows import HEADER, write_rows
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
    assert rate(iter([arrays, arrays]), 2) > 0


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
    assert epoch.first_ms > 0
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
    wanted = {"ratio", "rows_per_s", "of_gather_rate", "anon_mb_growth", "cold_rows_per_s"}
    assert wanted <= last.keys()
    assert last["rows_per_s"] > 0
    assert list(tmp_path.iterdir()) == []
