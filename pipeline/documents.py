"""Documents on disk: Parquet parts with the columns id, title, hash and text.

The text of a document is its paragraphs, each on one line, joined by a blank line. A heading is a
paragraph of its own; `pipeline.sentences` says how it is recognised. The hash tells exact copies.
"""

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3
from numpy.typing import NDArray

from shards.errors import DataError
from shards.files import write_atomically

ROW_GROUP_BYTES = 1 << 20
"""Text per row group: the unit in which `pack` divides work."""

REFETCH = "delete the folder and run `python cli.py fetch` for this source again"

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("hash", pa.uint64()),
        ("text", pa.string()),
    ]
)


class Document(NamedTuple):
    """One article, book, page or module: its id in the source, its title, and its clean text."""

    id: str
    title: str
    text: str


def hash_text(text: bytes) -> int:
    """Return the first 64 bits of the BLAKE3 hash of a text in UTF-8.

    Among the 8 million documents of OpenWebText, two that differ share it with a chance of 2e-6.
    """
    return int.from_bytes(blake3(text).digest(8), "little")


class DocumentWriter:
    """Write documents into one Parquet part, in row groups of about 1 MB of text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.documents = 0
        self.text_bytes = 0
        self._group: list[tuple[str, str, int, str]] = []
        self._group_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "DocumentWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            self._write_group()

    def write(self, document: Document) -> None:
        """Append one document; the first one makes the file."""
        raw = document.text.encode()
        self.documents += 1
        self.text_bytes += len(raw)
        self._group.append((document.id, document.title, hash_text(raw), document.text))
        self._group_bytes += len(raw)
        if self._group_bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            file = self._stack.enter_context(write_atomically(self.path))
            # Plain encoding: the footer's sizes are then the text's own, and `pack` plans by them.
            self._writer = pq.ParquetWriter(file, SCHEMA, compression="zstd", use_dictionary=False)
            self._stack.callback(self._writer.close)
        columns = [list(column) for column in zip(*self._group, strict=True)]
        table = pa.table(columns, schema=SCHEMA)
        self._writer.write_table(table, row_group_size=len(self._group))
        self._group, self._group_bytes = [], 0


def open_part(path: Path) -> pq.ParquetFile:
    """Open one Parquet part.

    Raises:
        DataError: The file is missing, truncated or not a part of documents.
    """
    try:
        part = pq.ParquetFile(path)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error})", REFETCH) from error
    if not part.schema_arrow.equals(SCHEMA):
        columns = ", ".join(f"{field.name} ({field.type})" for field in part.schema_arrow)
        problem = f"{path} has the columns {columns}; a part has id, title, hash and text"
        raise DataError(problem, REFETCH)
    return part


class RowGroup(NamedTuple):
    """One row group of a Parquet part.

    Attributes:
        path: The part.
        group: Number of the row group in it.
        documents: How many documents it holds, copies of earlier ones not counted.
        text_bytes: Bytes of text in it, copies counted.
        copies: Rows that repeat an earlier document of the source: nobody reads them.
    """

    path: Path
    group: int
    documents: int
    text_bytes: int
    copies: tuple[int, ...] = ()


def row_groups(path: Path, copies: Collection[int]) -> list[RowGroup]:
    """Return the row groups of a part, given the rows of the part that are copies.

    Raises:
        DataError: The part is missing or broken.
    """
    part = open_part(path).metadata
    groups = []
    first = 0
    for group in range(part.num_row_groups):
        details = part.row_group(group)
        rows = details.num_rows
        skipped = tuple(sorted(row - first for row in copies if first <= row < first + rows))
        size = details.column(part.num_columns - 1).total_uncompressed_size
        groups.append(RowGroup(path, group, rows - len(skipped), size, skipped))
        first += rows
    return groups


def read_texts(group: RowGroup, is_chosen: NDArray[np.bool_] | None = None) -> list[str]:
    """Read the texts of one row group, without copies; all of them or those chosen.

    Raises:
        DataError: The part is missing or broken.
    """
    column = read_columns(group, ["text"])["text"]
    try:
        texts: list[str] = (column if is_chosen is None else column.filter(is_chosen)).to_pylist()
    except UnicodeDecodeError as error:
        raise DataError(f"{group.path} cannot be read ({error})", REFETCH) from error
    return texts


def read_columns(group: RowGroup, columns: list[str]) -> pa.Table:
    """Read some columns of one row group, without copies.

    Raises:
        DataError: The part is missing or broken.
    """
    try:
        table = open_part(group.path).read_row_group(group.group, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{group.path} cannot be read ({error})", REFETCH) from error
    if not group.copies:
        return table
    is_kept = np.ones(len(table), np.bool_)
    is_kept[list(group.copies)] = False
    return table.filter(is_kept)
