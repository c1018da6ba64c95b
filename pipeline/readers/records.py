"""Records, the lines of a .jsonl or the rows of a .parquet, as documents.

The field that `--text-field` names is the text; `id` and `title` are taken where there are any.
A record may have LARGEST_TEXT, because it is cleaned in one piece; no option raises that.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.clean import join, paragraphs, tidy
from pipeline.config import FetchConfig
from pipeline.decode import decode
from pipeline.documents import Document
from pipeline.readers.archives import LARGEST_TEXT
from pipeline.readers.project_gutenberg import strip_project_gutenberg
from shards.errors import DataError

BATCH_BYTES = 16 << 20
"""Of a .parquet decoded at a time: a row may be a book."""
BATCH_ROWS = 16
"""Decoded at a time where they may have any size: a dictionary keeps equal texts once."""
MOST_ROWS = 1024
PAGE_BYTES = 1 << 20
"""Read from a .parquet at a time."""


class Records:
    """Makes documents of the records of one file.

    Attributes:
        path: The file, for errors.
        name: What the ids begin with.
        config: Its `text_field`.
        counts: What is dropped and repaired.
    """

    def __init__(self, path: Path, name: str, config: FetchConfig, counts: Counter[str]) -> None:
        self.path = path
        self.name = name
        self.config = config
        self.counts = counts

    def lines(self, file: IO[bytes], size: int | None, first: int) -> Iterator[Document]:
        """Yield the documents of the next `size` bytes of a .jsonl, or of all of it.

        Args:
            file: Open where a line begins.
            size: Bytes up to the end of a line.
            first: The number of that line, counted from 1.
        """
        number = first
        while size is None or size > 0:
            where = f"{self.path}, line {number}"
            line = read_line(file, where)
            if not line:
                return
            text = decode(line, where, self.counts).strip()
            if text:
                yield self._document(_parse(text, where), where, number)
            number += 1
            size = None if size is None else size - len(line)

    def rows(self, start: int, stop: int | None, first: int) -> Iterator[Document]:
        """Yield the documents of row groups of a .parquet; `first` is the number of a row."""
        number = first
        with open_parquet(self.path) as file:
            groups = range(file.num_row_groups)[start:stop]
            present = file.schema_arrow.names
            self._check_fields(present, str(self.path))
            wanted = dict.fromkeys((self.config.text_field, "id", "title"))
            columns = [column for column in wanted if column in present]
            for batch in file.iter_batches(
                batch_rows(file, groups), row_groups=list(groups), columns=columns
            ):
                values = [_values(batch[column], column, self.path) for column in columns]
                for row in zip(*values, strict=True):
                    where = f"{self.path}, row {number}"
                    _check_size(row, where)
                    yield self._document(dict(zip(columns, row, strict=True)), where, number)
                    number += 1

    def _document(self, fields: dict[str, Any], where: str, number: int) -> Document:
        """Make a document of a record; a text of null counts as empty."""
        self._check_fields(fields, where)
        field = self.config.text_field
        text = fields[field] if fields[field] is not None else ""
        if not isinstance(text, str):
            problem = f'{where} has a field "{field}" of type {type(text).__name__}'
            raise DataError(problem, "make it a string, or name another: --text-field NAME")
        text = strip_project_gutenberg(text, self.counts)
        identity, title = (fields.get(field) for field in ("id", "title"))
        return Document(
            f"{self.name}#{number}" if identity is None else tidy(str(identity), self.counts),
            "" if title is None else tidy(str(title), self.counts),
            join(paragraphs(text, self.counts)),
        )

    def _check_fields(self, fields: Collection[str], where: str) -> None:
        field = self.config.text_field
        if field not in fields:
            problem = f'{where} has the fields {sorted(fields)}, not "{field}"'
            raise DataError(problem, "name the one that holds the text: --text-field NAME")


def read_line(file: IO[bytes], where: str) -> bytes:
    """Return the next line, nothing at the end; one of over LARGEST_TEXT bytes is a DataError."""
    line = file.readline(LARGEST_TEXT + 1)
    _check_size((line,), where)
    return line


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a .parquet to be read page by page; its damage is a DataError."""
    try:
        # Opened here: pyarrow refuses names that are not UTF-8.
        with path.open("rb") as raw, pq.ParquetFile(raw, buffer_size=PAGE_BYTES) as file:
            yield file
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problem = f"{path} cannot be read as Parquet ({error})"
        raise DataError(problem, "write or download it again") from error


def batch_rows(file: pq.ParquetFile, groups: range) -> int:
    """Return how many rows have about BATCH_BYTES where they are largest.

    A value may be repeated without end, but none is larger than its row group; so there are more
    than BATCH_ROWS only where all of them may be as large as that.
    """
    rows = MOST_ROWS
    for group in map(file.metadata.row_group, groups):
        if size := group.total_byte_size:
            by_mean = BATCH_BYTES * group.num_rows // size
            rows = min(rows, max(BATCH_BYTES // size, min(BATCH_ROWS, by_mean)))
    return max(rows, 1)


def _values(column: pa.Array, name: str, path: Path) -> Iterator[Any]:
    """Yield the values of a column one by one, so that no more than one is twice in memory."""
    try:
        for value in column:
            yield value.as_py()
    except (ValueError, OverflowError) as error:
        problem = f'{path} has a column "{name}" with a value that cannot be read ({error})'
        raise DataError(problem, "write that column again as strings") from error


def _check_size(values: Iterable[Any], where: str) -> None:
    """Refuse a record that holds a string or bytes of over LARGEST_TEXT bytes."""
    for value in values:
        is_wide = isinstance(value, str) and not value.isascii()
        raw = value.encode() if is_wide else value
        if isinstance(raw, str | bytes) and len(raw) > LARGEST_TEXT:
            problem = f"{where} holds more than {LARGEST_TEXT:,} bytes"
            raise DataError(problem, "divide it, or make it a .txt, which is cut where it is long")


def _parse(line: str, where: str) -> dict[str, Any]:
    remedy = "make it one JSON object with a field for the text"
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where} is not JSON ({error})", remedy) from error
    except RecursionError as error:
        raise DataError(f"{where} is nested too deep", remedy) from error
    if not isinstance(fields, dict):
        raise DataError(f"{where} is no JSON object but {line[:40]!r}", remedy)
    return fields
