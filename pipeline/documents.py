"""Documents on disk: Parquet parts with the columns id, title and text.

The text of a document is its paragraphs, each on one line, joined by a blank line. A heading is a
paragraph of its own; `pipeline.sentences` says how it is recognised.
"""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import DataError
from shards.files import write_atomically
from shards.manifest import FileRecord, record_file

PART_BYTES = 64 << 20
"""Text per Parquet part: small enough to lose little when a download is cut."""
ROW_GROUP_BYTES = 1 << 20
"""Text per row group: the unit in which `pack` divides work."""

REFETCH = "delete the folder and run `python cli.py fetch` for this source again"

SCHEMA = pa.schema([("id", pa.string()), ("title", pa.string()), ("text", pa.string())])


class Document(NamedTuple):
    """One article, book, page or module: its id in the source, its title, and its clean text."""

    id: str
    title: str
    text: str


class DocumentWriter:
    """Write documents into `folder/part-NNNNN.parquet`, cutting parts and row groups by size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, FileRecord] = {}
        self.documents = 0
        self.text_bytes = 0
        self._group: list[Document] = []
        self._group_bytes = 0
        self._part_bytes = 0
        self._part_rows = 0
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
        if error is None:
            self._close_part()
        else:
            self._stack.__exit__(kind, error, traceback)

    def write(self, document: Document) -> None:
        """Append one document."""
        size = len(document.text.encode())
        self.documents += 1
        self.text_bytes += size
        self._group.append(document)
        self._group_bytes += size
        if self._group_bytes >= ROW_GROUP_BYTES:
            self._write_group()
        if self._part_bytes >= PART_BYTES:
            self._close_part()

    def _path(self) -> Path:
        return self.folder / f"part-{len(self.files):05d}.parquet"

    def _write_group(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            file = self._stack.enter_context(write_atomically(self._path()))
            # Plain encoding: the footer's sizes are then the text's own, and `pack` plans by them.
            self._writer = pq.ParquetWriter(file, SCHEMA, compression="zstd", use_dictionary=False)
            self._stack.callback(self._writer.close)
        columns = [list(column) for column in zip(*self._group, strict=True)]
        table = pa.table(columns, schema=SCHEMA)
        self._writer.write_table(table, row_group_size=len(self._group))
        self._part_bytes += self._group_bytes
        self._part_rows += len(self._group)
        self._group, self._group_bytes = [], 0

    def _close_part(self) -> None:
        self._write_group()
        if self._writer is None:
            return
        path, rows = self._path(), self._part_rows
        self._stack.close()
        self.files[path.name] = record_file(path, rows)
        self._writer, self._part_bytes, self._part_rows = None, 0, 0


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
        problem = f"{path} has the columns {columns}; a part has id, title and text (string)"
        raise DataError(problem, REFETCH)
    return part


def read_texts(path: Path, group: int) -> list[str]:
    """Read the texts of one row group.

    Raises:
        DataError: The part is missing or broken.
    """
    try:
        texts: list[str] = open_part(path).read_row_group(group, columns=["text"])[0].to_pylist()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read ({error})", REFETCH) from error
    return texts
