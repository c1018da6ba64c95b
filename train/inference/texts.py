"""Texts to read: a line each of a file or of standard input, or the field `text` of records."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import DataError

STANDARD_INPUT = Path("-")
FIELD = "text"
NO_TEXT = {
    ".json": ("one document of JSON", "write a .jsonl, a record on each line"),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip"), ("compressed", "unpack it first")),
}
"""Files that are no text in lines, by their suffix: what they are, and the remedy."""
NOT_UTF8 = "convert it to UTF-8"
BATCH_ROWS = 256


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a file in order.

    Args:
        path: A .jsonl or .parquet with texts in `text`, or any other file, or "-" for standard
            input, with a text on each line that is not blank.

    Raises:
        DataError: The file is missing, broken, compressed or not UTF-8, or a text in it is empty.
    """
    number = 0
    for number, text in enumerate(READERS.get(path.suffix.lower(), _lines)(path), start=1):
        if not text.strip():
            problem = f"text {number} of {name_of(path)} is empty"
            raise DataError(problem, "put a text there, or take it out")
        yield text
    if not number:
        raise DataError(f"{name_of(path)} holds no text", "give a file with a text on each line")


def count_texts(path: Path) -> int | None:
    """Return how many texts a file holds, all of them checked; None: it can be read only once."""
    if path == STANDARD_INPUT or not path.is_file():
        return None
    return sum(1 for _ in read_texts(path))


def read_whole(path: Path) -> str:
    """Return all of a file, or of standard input, as one text.

    The texts of a .jsonl or .parquet are the lines of it.

    Raises:
        DataError: As in `read_texts`.
    """
    if path.suffix.lower() in READERS:
        return "\n".join(read_texts(path))
    return "".join(_raw_lines(path))


def name_of(path: Path) -> str:
    """Return what to call a file in a message."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def _raw_lines(path: Path) -> Iterator[str]:
    """Yield lines with their ends."""
    if path.suffix.lower() in NO_TEXT:
        what, remedy = NO_TEXT[path.suffix.lower()]
        raise DataError(f"{path} is {what}", remedy)
    try:
        with click.open_file(str(path), encoding="utf-8-sig") as file:
            yield from file
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}", "give a file that is there, or -") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{name_of(path)} is not UTF-8 ({error.reason})", NOT_UTF8) from error


def _lines(path: Path) -> Iterator[str]:
    return (line.removesuffix("\n") for line in _raw_lines(path) if line.strip())


def _json_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(_raw_lines(path), start=1):
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON ({error})", "correct it") from error
        text = record.get(FIELD) if isinstance(record, dict) else None
        if not isinstance(text, str):
            raise DataError(f"{where} has no text in {FIELD!r}", f"name the text's field {FIELD!r}")
        yield text


def _parquet_rows(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise DataError(f"no file at {path}", "give a file that is there, or -")
    try:
        with pq.ParquetFile(path) as file:
            if FIELD not in file.schema_arrow.names:
                problem = f"{path} has no column {FIELD!r}"
                raise DataError(problem, f"name the column of texts {FIELD!r}")
            for batch in file.iter_batches(BATCH_ROWS, columns=[FIELD]):
                yield from _texts_in(path, batch.column(0).to_pylist())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: pyarrow's own, of a broken file, have no number
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is no whole Parquet file ({reason})", "make it again") from error


READERS = {".jsonl": _json_lines, ".parquet": _parquet_rows}
"""Of files that are no text themselves, by their suffix."""


def _texts_in(path: Path, values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if not isinstance(value, str):
            problem = f"{path} has {type(value).__name__} in {FIELD!r} where a text should be"
            raise DataError(problem, "put a text there, or take the row out")
        yield value
