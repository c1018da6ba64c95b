import errno
import gc
import io
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from shards.format import Rows, concatenate, make_room
from shards.order import BLOCK_ROWS, WINDOW_ROWS, share
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows

SIZES = (WINDOW_ROWS, 700, 1, 2, 40_000)
TOTAL = sum(SIZES)
on_linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory, make_header, write_folder):
    """Return a function that writes shards of these sizes; each row tells its number by itself."""

    def make(sizes: tuple[int, ...] = SIZES, **changes: object) -> Path:
        header = make_header(**changes)
        rows = make_room(header, sum(sizes))
        rows.document[:] = np.arange(len(rows))
        for name, column in vars(rows).items():
            places = np.arange(column.size).reshape(column.shape)
            column[:] = rows.document if name == "document" else places * 2654435761 >> 7
        ends = np.cumsum(sizes)
        shards = {
            f"train/{header.max_length}/part-{number:05d}.arrow": rows.take(slice(end - size, end))
            for number, (size, end) in enumerate(zip(sizes, ends, strict=True))
        }
        folder = tmp_path_factory.mktemp("shuffled")
        write_folder(folder, header, shards)
        return folder

    return make


@pytest.fixture(scope="module")
def folder(make_folder) -> Path:
    return make_folder()


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("train/12/*.arrow"))


def assert_equal(found: Rows, expected: Rows) -> None:
    for name, column in vars(expected).items():
        assert np.array_equal(vars(found)[name], column), name
        assert vars(found)[name].dtype == column.dtype


def read_on(shuffled: ShuffledRows) -> None:
    for cursor in range(0, 2 * TOTAL, 5000):
        shuffled.read(cursor, 5000)


def test_rows_are_those_of_the_order(folder: Path):
    shards = ShardFolder(folder, "train")
    shuffled = ShuffledRows(shards, seed=3)
    for cursor in range(0, 2 * TOTAL, 4096):
        rows, epochs = shuffled.read(cursor, 4096)
        index, expected = shuffled.order.take(cursor, 4096)
        assert_equal(rows, shards.gather(index))
        assert np.array_equal(epochs, expected)


@pytest.mark.parametrize("changes", [{"mask_sets": 0}, {"vocab_size": 100_000, "max_length": 7}])
def test_rows_of_any_width_are_read(make_folder, changes):
    shards = ShardFolder(make_folder((600, 5, 900), **changes), "train")
    shuffled = ShuffledRows(shards, seed=0)
    index, _ = shuffled.order.take(100, 1405)
    assert_equal(shuffled.read(100, 1405)[0], shards.gather(index))


def test_every_row_comes_once_an_epoch(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=1)
    for epoch in range(2):
        rows, epochs = shuffled.read(epoch * TOTAL, TOTAL)
        assert np.array_equal(np.sort(rows.document), np.arange(TOTAL))
        assert (epochs == epoch).all()


@settings(max_examples=20)
@given(st.integers(0, 3 * TOTAL), st.lists(st.integers(1, 40_000), min_size=1, max_size=4))
def test_a_resumed_reader_goes_on_as_if_unbroken(folder: Path, cursor: int, counts: list[int]):
    shards = ShardFolder(folder, "train")
    whole = ShuffledRows(shards, seed=2).read(cursor, sum(counts))
    resumed = ShuffledRows(shards, seed=2)
    found = []
    for count in counts:
        found.append(resumed.read(cursor, count))
        cursor += count
    assert_equal(concatenate(rows for rows, _ in found), whole[0])
    assert np.array_equal(np.concatenate([epochs for _, epochs in found]), whole[1])


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_batches_do_not_depend_on_the_number_of_processes(folder: Path, processes: int):
    shards = ShardFolder(folder, "train")
    readers = [ShuffledRows(shards, seed=4) for _ in range(processes)]
    first = WINDOW_ROWS // 1000
    for step in range(first - 1, first + 2):  # one of them spans windows
        shares = [
            reader.read(*share(step, 1000, process, processes))[0]
            for process, reader in enumerate(readers)
        ]
        index, _ = readers[0].order.take(step * 1000, 1000)
        assert_equal(concatenate(shares), shards.gather(index))


def test_a_mask_set_is_chosen_by_the_epoch(folder: Path):
    shards = ShardFolder(folder, "train")
    rows, epochs = ShuffledRows(shards, seed=0).read(TOTAL - 5, 10)
    masks = rows.mask_set(epochs % shards.header.mask_sets, shards.header)
    assert np.array_equal(masks[:5], rows.masks[:5, :2])
    assert np.array_equal(masks[5:], rows.masks[5:, 2:])


def test_what_is_read_belongs_to_the_reader(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    rows, _ = shuffled.read(0, 10)
    expected = rows.input_ids.copy()
    rows.input_ids[:] = 0
    assert np.array_equal(shuffled.read(0, 10)[0].input_ids, expected)


def test_a_split_without_rows_says_so(folder: Path):
    with pytest.raises(DataError, match="has no rows of the test split: run `python"):
        ShuffledRows(ShardFolder(folder, "test"), seed=0)


def test_another_process_gets_a_reader_without_rows_in_it(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=9)
    expected, _ = shuffled.read(50, 100)
    content = pickle.dumps(shuffled)
    assert len(content) < 1000
    assert_equal(pickle.loads(content).read(50, 100)[0], expected)


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@on_linux
def test_files_and_threads_are_given_back(folder: Path):
    ShuffledRows(ShardFolder(folder, "train"), seed=0).read(0, 1)  # what is opened once for all
    gc.collect()
    files, threads = count_open_files(), threading.active_count()
    maps = Path("/proc/self/maps").read_text().count(str(folder))
    readers = [ShuffledRows(ShardFolder(folder, "train"), seed=0) for _ in range(5)]
    for reader in readers:
        read_on(reader)
    started = [reader._thread._threads for reader in readers]
    del reader, readers
    gc.collect()
    for thread in (thread for one in started for thread in one):
        thread.join(10)
    assert count_open_files() <= files
    assert threading.active_count() <= threads
    assert Path("/proc/self/maps").read_text().count(str(folder)) <= maps


def anonymous_bytes() -> int:
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


@on_linux
def test_memory_does_not_grow_over_an_epoch(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    read_on(shuffled)
    before = anonymous_bytes()
    read_on(shuffled)
    assert anonymous_bytes() - before < 2e6


def read_first(shuffled: ShuffledRows) -> None:
    """Read a little, and wait until the next window has been read ahead."""
    shuffled.read(0, 10)
    assert shuffled._ahead is not None
    shuffled._ahead[1].result()


def refused(shuffled: ShuffledRows, path: Path) -> str:
    """Return why an epoch cannot be read to its end; it must name this file and what to do."""
    with pytest.raises(DataError) as caught:
        read_on(shuffled)
    assert caught.value.problem.startswith(f"{path} ")
    remedy = f"run `python cli.py verify {path.parents[2]}`, then go on with --resume"
    assert caught.value.remedy == remedy
    return caught.value.problem.removeprefix(f"{path} ")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff" * 100)
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("damage", [cut, replace, overwrite])
@pytest.mark.parametrize("part", [0, 4])
def test_a_shard_that_changes_while_it_is_read_is_named(make_folder, damage, part: int):
    folder = make_folder()
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    read_first(shuffled)
    damage(parts(folder)[part])
    assert refused(shuffled, parts(folder)[part]) == "has changed while it was read"


def test_a_shard_that_is_deleted_while_it_is_read_is_named(make_folder):
    folder = make_folder()
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    read_first(shuffled)
    path = parts(folder)[4]
    path.unlink()
    assert "cannot be read ([Errno 2] No such file" in refused(shuffled, path)


@pytest.mark.parametrize("damage", [cut, replace, overwrite])
def test_gathering_from_a_shard_that_has_changed_is_refused(make_folder, damage):
    folder = make_folder()
    shards = ShardFolder(folder, "train")
    shards.gather(np.array([0, TOTAL - 1]))
    damage(parts(folder)[4])
    shards.gather(np.array([0]))
    with pytest.raises(DataError, match=r"part-00004\.arrow has changed while it was read"):
        shards.gather(np.array([0, TOTAL - 1]))
    parts(folder)[4].unlink()
    with pytest.raises(DataError, match=r"part-00004\.arrow cannot be read \(No such file"):
        shards.gather(np.array([0, TOTAL - 1]))


class FailingFile(io.FileIO):
    """A file on a disk that errs, or that is cut after it was looked at."""

    error: OSError | None = None

    def readinto(self, buffer) -> int:
        if self.error:
            raise self.error
        return super().readinto(memoryview(buffer)[:100])


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error"),
        (None, "100 bytes at "),
    ],
)
def test_a_disk_that_errs_is_told_and_may_recover(make_folder, monkeypatch, error, problem):
    folder = make_folder()
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    expected = ShuffledRows(ShardFolder(folder, "train"), seed=0).read(0, 100)[0]
    monkeypatch.setattr(FailingFile, "error", error)
    monkeypatch.setattr(Path, "open", lambda self, *_, **__: FailingFile(self))
    assert f"cannot be read ({problem}" in refused(shuffled, parts(folder)[0])
    monkeypatch.undo()
    assert_equal(shuffled.read(0, 100)[0], expected)


def test_what_was_read_ahead_in_vain_is_no_error_yet(make_folder):
    """The window in hand is whole; only the next one has lost a shard."""
    folder = make_folder((BLOCK_ROWS * 200,))
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    shuffled.read(0, 10)
    cut(parts(folder)[0])
    shuffled.read(10, WINDOW_ROWS - 10)
    with pytest.raises(DataError, match="has changed"):
        shuffled.read(2 * WINDOW_ROWS, 10)
