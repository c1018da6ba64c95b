"""Map shards into memory and gather rows from them; nothing is copied before the gather."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from shards.errors import DataError
from shards.format import Rows, ShardHeader, concatenate, make_header, read_header
from shards.manifest import Manifest, read_manifest

REPACK = "run the `python cli.py pack` that made the folder again"


def open_shard(path: Path) -> tuple[ShardHeader, Rows]:
    """Map one shard; the arrays are read-only views of the file.

    Raises:
        DataError: The file is missing, truncated, of another format or version.
    """
    try:
        content = pa.memory_map(str(path)).read_buffer()
        reader = ipc.open_file(content)
        header = read_header(reader.schema)
        if reader.num_record_batches != 1:
            raise ValueError(f"{reader.num_record_batches} record batches, not 1")
        batch = reader.get_batch(0)
        batch.validate()
        if not all(_lies_in(content, column) for column in batch.columns):
            raise ValueError("compressed columns")
        if any(column.null_count for column in batch.columns):
            raise ValueError("nulls")
        columns = {name: _view(batch.column(name)) for name in batch.schema.names}
        columns.setdefault("masks", np.empty((batch.num_rows, 0), np.uint8))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} is not a whole shard ({error})", REPACK) from error
    return header, Rows(**columns)


def _lies_in(content: pa.Buffer, column: pa.Array) -> bool:
    """Return whether a column's values are the file's own bytes, not a decompressed copy."""
    values = [buffer for buffer in column.buffers() if buffer is not None and buffer.size]
    end = content.address + content.size
    return all(content.address <= b.address and b.address + b.size <= end for b in values)


def _view(column: pa.Array) -> NDArray[Any]:
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        # mypy: pyarrow is untyped
        values: NDArray[Any] = column.values.to_numpy(zero_copy_only=True)
        return values.reshape(-1, width)
    flat: NDArray[Any] = column.to_numpy(zero_copy_only=True)
    return flat


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
        self._shards = []
        start = f"{split}/{self.header.max_length}/"
        for name in sorted(name for name in self.manifest.files if name.startswith(start)):
            if not self.manifest.files[name].stands(folder / name):
                raise DataError(f"{folder / name} is not what was packed", REPACK)
            header, rows = open_shard(folder / name)
            if header != self.header:
                raise DataError(f"{folder / name} is a shard of another folder", REPACK)
            self._shards.append(rows)
        self._ends = np.cumsum([len(rows) for rows in self._shards], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def shards(self) -> Iterator[Rows]:
        """Yield the rows of each shard in turn, in the order of their numbers; views of files."""
        yield from self._shards

    def gather(self, index: NDArray[np.int64]) -> Rows:
        """Copy the rows at `index` (N,), numbered through all shards, in the order asked for."""
        if len(index) == 0:
            return self._shards[0].take(slice(0, 0))
        shard_of = np.searchsorted(self._ends, index, side="right")
        order = np.argsort(shard_of, kind="stable")
        parts = []
        for shard in np.unique(shard_of):
            rows = self._shards[shard]
            first = self._ends[shard] - len(rows)
            parts.append(rows.take(index[shard_of == shard] - first))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return concatenate(parts).take(back)


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
        raise DataError(f"no shards at {folder}", f"run `python cli.py pack --out {folder}` first")
    if manifest.stage != "pack":
        raise DataError(f"{folder} was made by `{manifest.stage}`, not `pack`", own)
    try:
        header = make_header(manifest.counts.get("header"))
        lengths = manifest.counts.get("max_lengths") or [header.max_length]
        headers = [make_header({**asdict(header), "max_length": length}) for length in lengths]
        return manifest, {header.max_length: header for header in headers}
    except (ValueError, TypeError) as error:
        raise DataError(f"{folder} cannot be read: {error}", REPACK) from error
