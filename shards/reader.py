"""Map shards into memory and gather rows from them; nothing is copied before the gather."""

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from shards.errors import DataError
from shards.format import Rows, ShardHeader, make_header, make_room, read_header
from shards.manifest import Manifest, read_manifest

END_BYTES = 16_384
"""Room for what stands before and after the columns of a shard: under 3 kB each."""
REPACK = "run the `python cli.py pack` that made the folder again"


def open_shard(path: Path) -> tuple[ShardHeader, Rows]:
    """Map one shard; the arrays are read-only views of the file.

    Raises:
        DataError: The file is missing, truncated, of another format or version.
    """
    with _whole(path):
        header, columns = _parse(pa.memory_map(str(path)).read_buffer())
        room = vars(make_room(header, 0))
        views = {name: _view(column, room[name].dtype) for name, column in columns.items()}
    views.setdefault("masks", np.empty((len(views["length"]), 0), np.uint8))
    return header, Rows(**views)


@dataclass(frozen=True)
class Shard:
    """A shard whose place is known; its rows are mapped when they are asked for.

    Attributes:
        path: The file.
        seen: Its size in bytes and modification time in ns.
        header: What its schema says.
        count: Rows.
        offsets: Where each column begins in the file, in bytes.
    """

    path: Path
    seen: tuple[int, int]
    header: ShardHeader
    count: int
    offsets: dict[str, int]

    @cached_property
    def rows(self) -> Rows:
        """Return read-only views of the file."""
        return open_shard(self.path)[1]

    def check(self, status: os.stat_result) -> None:
        """Compare the file's status with what it was when it was found.

        Raises:
            DataError: It is another file, or was written to.
        """
        if _look(status) != self.seen:
            raise self.error("has changed while it was read")

    def error(self, problem: str) -> DataError:
        """Return the error of a shard that can no longer be read."""
        remedy = f"run `python cli.py verify {self.path.parents[2]}`, then go on with --resume"
        return DataError(f"{self.path} {problem}", remedy)


def find_shard(path: Path) -> Shard:
    """Look where the columns of a shard are; nothing stays open or mapped.

    Raises:
        DataError: As `open_shard`.
    """
    with _whole(path), path.open("rb", buffering=0) as file:
        seen = _read_ends(file)
        # Not pyarrow's map: it would have the system read megabytes that nobody asked for.
        content = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        header, columns = _parse(content)
    count = len(columns["length"])
    # Not views: for what is asked of each shard of many, numpy takes too long.
    offsets = {
        name: column.buffers()[-1].address - content.address if count else 0
        for name, column in columns.items()
    }
    return Shard(path, seen, header, count, offsets)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Say which file an error is about."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} is not a whole shard ({error})", REPACK) from error


def _parse(content: pa.Buffer) -> tuple[ShardHeader, dict[str, pa.Array]]:
    """Return the header of a shard and its columns, whose values are in `content`.

    Raises:
        ValueError: It is no shard, or pyarrow says so with an exception of its own.
    """
    reader = ipc.open_file(content)
    header = _read_header(reader.schema.serialize().to_pybytes())
    if reader.num_record_batches != 1:
        raise ValueError(f"{reader.num_record_batches} record batches, not 1")
    batch = reader.get_batch(0)
    batch.validate()
    columns = dict(zip(reader.schema.names, batch.columns, strict=True))
    if not all(_lies_in(content, column) for column in columns.values()):
        raise ValueError("compressed columns")
    if any(column.null_count for column in columns.values()):
        raise ValueError("nulls")
    return header, columns


@lru_cache(maxsize=8)
def _read_header(schema: bytes) -> ShardHeader:
    """Read the header from a schema as it is stored: of many shards the same."""
    return read_header(ipc.read_schema(pa.py_buffer(schema)))


def _read_ends(file: FileIO) -> tuple[int, int]:
    """Read where a file says what it holds, and return its size and time.

    A disk that errs there is an error then, and not the end of the process. And a mapped page that
    is in memory already does not make the system read megabytes around it.
    """
    status = os.fstat(file.fileno())
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
    for place in (0, max(0, status.st_size - END_BYTES)):
        file.seek(place)
        file.read(END_BYTES)
    return _look(status)


def _look(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _lies_in(content: pa.Buffer, column: pa.Array) -> bool:
    """Return whether a column's values are the file's own bytes, not a decompressed copy."""
    values = [buffer for buffer in column.buffers() if buffer is not None and buffer.size]
    start, end = content.address, content.address + content.size
    return all(start <= one.address and one.address + one.size <= end for one in values)


def _view(column: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values of a column as a vector, or as a matrix if they are lists.

    `pyarrow.Array.to_numpy` does the same, but first imports pandas where there is one: 0.4 s.
    """
    is_list = pa.types.is_fixed_size_list(column.type)
    values = column.values if is_list else column
    flat: NDArray[Any] = np.empty(0, dtype)
    if len(values):
        flat = np.frombuffer(values.buffers()[1], dtype, len(values))
    return flat.reshape(-1, column.type.list_size) if is_list else flat


class ShardFolder:
    """All shards of one split and length of a folder that `pack` made.

    Args:
        folder: What `pack` wrote.
        split: "train" or "validation".
        max_length: Width of the rows; None: the only one that there is.

    Raises:
        DataError: There are none of this length, or several lengths and none was chosen; a shard
            is missing or broken.
    """

    def __init__(self, folder: Path, split: str, max_length: int | None = None) -> None:
        self.folder = folder
        self.split = split
        self.manifest, headers = read_shard_manifest(folder)
        self.header = _choose(folder, headers, max_length)
        self.found = []
        start = f"{split}/{self.header.max_length}/"
        names = (name for name in self.manifest.files if name.startswith(start))
        for name in sorted(names, key=_numbers):
            if not self.manifest.files[name].stands(folder / name):
                raise DataError(f"{folder / name} is not what was packed", REPACK)
            shard = find_shard(folder / name)
            if shard.header != self.header:
                raise DataError(f"{folder / name} is a shard of another folder", REPACK)
            self.found.append(shard)
        self.ends = np.cumsum([shard.count for shard in self.found], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __reduce__(self) -> tuple[type["ShardFolder"], tuple[Path, str, int]]:
        """Return how another process opens it: pickling copies no rows."""
        return ShardFolder, (self.folder, self.split, self.header.max_length)

    def shards(self) -> Iterator[Rows]:
        """Yield the rows of each shard in turn; views of files.

        In the order of their numbers: part 9, then its further files 9-1 and 9-2, then part 10.
        """
        yield from (shard.rows for shard in self.found)

    def gather(self, index: NDArray[np.int64]) -> Rows:
        """Copy the rows at `index` (N,), numbered through all shards, in the order asked for.

        For a few rows anywhere; `shards.shuffled` is for all rows in the order of training.

        Raises:
            IndexError: A number is below 0, or there are not so many rows.
            DataError: A shard has changed since it was opened, or is gone.
        """
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            problem = f"rows {index.min()} to {index.max()} of {self.folder}, which has {len(self)}"
            raise IndexError(problem)
        rows = make_room(self.header, len(index))
        shard_of = np.searchsorted(self.ends, index, side="right")
        for number in np.unique(shard_of):
            shard = self.found[number]
            # Touching a mapped page of a file that has become too short would end the process.
            try:
                shard.check(shard.path.stat())
            except OSError as error:
                raise shard.error(f"cannot be read ({error.strerror})") from error
            places = np.flatnonzero(shard_of == number)
            part = shard.rows.take(index[places] - (self.ends[number] - shard.count))
            for name, column in vars(rows).items():
                column[places] = vars(part)[name]
        return rows


def _numbers(name: str) -> list[int]:
    """Return the part's number and, where it goes on in other files, the file's: the sort key."""
    return [int(number) for number in re.findall(r"\d+", name.rpartition("/")[2])]


def _choose(folder: Path, headers: dict[int, ShardHeader], max_length: int | None) -> ShardHeader:
    if max_length is None and len(headers) == 1:
        return next(iter(headers.values()))
    if max_length in headers:
        return headers[max_length]
    lengths = ", ".join(map(str, headers))
    problem = f"{folder} has rows of {lengths} tokens"
    if max_length is not None:
        problem += f", none of {max_length}"
    raise DataError(problem, "choose one of these with --max-length")


def read_shard_manifest(folder: Path) -> tuple[Manifest, dict[int, ShardHeader]]:
    """Read the manifest of a folder of shards, and the header of each length.

    Raises:
        DataError: There is none, another stage wrote it, or it has no header of this version.
    """
    manifest = read_manifest(folder)
    own = "give the folder that `python cli.py pack` wrote"
    if folder.is_file():
        raise DataError(f"{folder} is a file", own)
    if manifest is None:
        is_other = folder.is_dir() and any(folder.iterdir())  # a run, say
        remedy = own if is_other else f"run `python cli.py pack --out {folder}` first"
        raise DataError(f"no shards at {folder}", remedy)
    if manifest.stage != "pack":
        raise DataError(f"{folder} was made by `{manifest.stage}`, not `pack`", own)
    try:
        header = make_header(manifest.counts.get("header"))
        lengths = manifest.counts.get("max_lengths") or [header.max_length]
        headers = [make_header({**asdict(header), "max_length": length}) for length in lengths]
        return manifest, {header.max_length: header for header in headers}
    except (ValueError, TypeError) as error:
        raise DataError(f"{folder} cannot be read: {error}", REPACK) from error
