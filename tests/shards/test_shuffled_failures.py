import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest

from shards.errors import DataError
from shards.order import BLOCK_ROWS, WINDOW_ROWS
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows
from tests.shards.shuffling import TOTAL, assert_equal, parts, read_on


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


class OvertakenFile(io.FileIO):
    """A file that another program writes to once the first piece of it has been read."""

    def readinto(self, buffer) -> int:
        count = super().readinto(buffer)
        with io.FileIO(self.name, "r+") as file:
            file.seek(2000)
            file.write(b"\7" * 1000)
        return count


def test_a_shard_that_is_written_to_while_a_window_is_read_is_named(make_folder, monkeypatch):
    folder = make_folder((20_000,))
    path = parts(folder)[0]
    os.utime(path, (0, 0))  # the clock of the file system may stand still for some ms
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    monkeypatch.setattr(Path, "open", lambda self, *_, **__: OvertakenFile(self))
    with pytest.raises(DataError, match=r"part-00000\.arrow has changed while it was read"):
        shuffled.read(0, 10)


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
