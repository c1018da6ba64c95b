"""The rows of a task of one's own, from .tsv or .jsonl, each with the line that it came from."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shards.errors import DataError

CORRECT = "correct it there"
ENDINGS = (".tsv", ".jsonl")
SEPARATORS = {"labels": "|", "words": " ", "tags": " "}
"""What divides the values of a column in a .tsv."""


@dataclass(frozen=True)
class Row:
    """One row: its file and line, and its values by column."""

    where: str
    values: dict[str, Any]

    def error(self, problem: str, remedy: str = CORRECT) -> DataError:
        """Return an error that names the line."""
        return DataError(f"{self.where}: {problem}", remedy)


def own_path(folder: Path, split: str) -> Path:
    """Return the file of a split.

    Raises:
        DataError: There is none, or one of either form.
    """
    names = [f"{split}{ending}" for ending in ENDINGS]
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise DataError(f"{folder} has no {' or '.join(names)}", "put one of them there")
    if len(found) > 1:
        raise DataError(f"{folder} has {' and '.join(names)}", "take one of them away")
    return found[0]


def is_there(folder: Path, split: str) -> bool:
    """Return whether there is a file of a split."""
    return any((folder / f"{split}{ending}").is_file() for ending in ENDINGS)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield every row; lines end at a newline, before which a carriage return may stand.

    Empty lines at the end are passed over; others are for the table or JSON to refuse.
    """
    read: Callable[[Iterator[Row]], Iterator[Row]]
    read = _read_json if path.suffix == ".jsonl" else _read_table
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            lines = (line.removesuffix("\n").removesuffix("\r") for line in file)
            rows = (Row(f"{path}, line {at}", {"": line}) for at, line in enumerate(lines, 1))
            for number, row in enumerate(read(_without_end(rows)), 1):  # noqa: B007 - it is told afterwards
                yield row
    except UnicodeDecodeError as error:
        problem = f"{path} is not UTF-8 after row {number} ({error})"
        raise DataError(problem, "save it as UTF-8") from error
    if not number:
        raise DataError(f"{path} has no rows", "add some")


def _without_end(lines: Iterator[Row]) -> Iterator[Row]:
    """Leave out empty lines that nothing follows."""
    empty: list[Row] = []
    for line in lines:
        if not line.values[""]:
            empty.append(line)
            continue
        yield from empty
        empty.clear()
        yield line


def _read_table(lines: Iterator[Row]) -> Iterator[Row]:
    header: list[str] = []
    for line in lines:
        fields = line.values[""].split("\t")
        if not header:
            header = fields
            if len(set(header)) < len(header):
                raise line.error(f"its header names a column twice: {header}")
            continue
        if len(fields) != len(header):
            problem = f"it has {len(fields)} fields, the header {len(header)}"
            raise line.error(problem, "divide columns by one tab, and leave no line empty")
        yield replace(line, values=dict(zip(header, map(_divide, header, fields), strict=True)))


def _divide(column: str, text: str) -> str | list[str]:
    if column not in SEPARATORS:
        return text
    return text.split(SEPARATORS[column]) if text else []


def _read_json(lines: Iterator[Row]) -> Iterator[Row]:
    for line in lines:
        try:
            values = json.loads(line.values[""], object_pairs_hook=_named_once)
        except (ValueError, RecursionError) as error:
            raise line.error(f"it is not JSON ({error})", "give one object a line") from error
        if not isinstance(values, dict):
            raise line.error("it is JSON, but no object", 'give one a line, as {"text": "..."}')
        yield replace(line, values=values)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, in which a name that stands twice would hide a value."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"a name stands twice: {', '.join(name for name, _ in pairs)}")
    return values


def value_of(row: Row, column: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a row has in a column."""
    if column not in row.values:
        raise row.error(f"it has no {column!r}, only {', '.join(row.values)}")
    return row.values[column]


def text_of(row: Row, column: str) -> str:
    """Return the text that a row has in a column."""
    return check_text(row, column, value_of(row, column))


def check_text(row: Row, column: str, text: object) -> str:
    """Return `text`, if it is one."""
    if not isinstance(text, str):
        raise row.error(f"{column!r} has {json.dumps(text)[:40]}, which is no text")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can say half of a character
        raise row.error(f"{column!r} is no Unicode text ({error.reason})") from error
    return text


def list_of(row: Row, column: str) -> list[Any]:
    """Return the list that a row has in a column."""
    values = value_of(row, column)
    if not isinstance(values, list):
        raise row.error(f"{column!r} has {json.dumps(values)[:40]}, which is no list")
    return values


def words_of(row: Row) -> list[str]:
    """Return a row's words, of which each has a character and no white space around it."""
    words = [check_text(row, "words", word) for word in list_of(row, "words")]
    for word in words:
        if not word or word != word.strip():
            raise row.error(f"the word {word!r} is empty, or has white space at an end")
    if not words:
        raise row.error("it has no words")
    return words
