"""A person's own text: a file, or a folder searched whole, of .txt, .jsonl and .parquet.

A .txt is one document, or several where it holds more than 1 MB: it is cut at the first paragraph
end after each. A line of .jsonl or a row of .parquet is one document: its field `text`, and
`id` and `title` where there are any. Hidden files are passed over. What Project Gutenberg puts
around its books is dropped and counted.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.clean import join, paragraphs, tidy
from pipeline.decode import decode
from pipeline.documents import Document
from pipeline.sources.project_gutenberg import strip_project_gutenberg
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

DOCUMENT_BYTES = 1_000_000
"""A .txt that holds more is cut into documents of about this size."""
PIECE_BYTES = 64 << 20
"""How much of a .txt is in memory at a time, a longer line apart."""
BATCH_ROWS = 64
"""Rows of a .parquet in memory at a time: a row may be a book."""


def input_files(path: Path) -> dict[str, Path]:
    """Return the files to read, sorted by name.

    Raises:
        DataError: `path` is a file of another kind, or a folder without any of these.
    """
    kinds = ", ".join(_READERS)
    if path.is_file():
        if path.suffix.lower() not in _READERS:
            raise DataError(f"{path} is none of {kinds}", "convert it, or rename it if it is one")
        return {path.name: path}
    found = {name: file for name, file in _visible(path).items() if file.suffix.lower() in _READERS}
    if not found:
        raise DataError(f"{path} holds no {kinds}", "name a folder that does in --from")
    return found


def documents(path: Path, counts: Counter[str], workers: int) -> Iterator[Document]:
    """Yield the documents of all files in the order of their names; `workers` is not used."""
    if path.is_dir():
        others = len(_visible(path)) - len(input_files(path))
        if others:
            counts["dropped: files of another kind"] += others
    for name, file in input_files(path).items():
        before = counts["input_bytes"]
        for document in _READERS[file.suffix.lower()](file, name, counts):
            if document.text:
                yield document
            else:
                counts["dropped: empty texts"] += 1
        counts["input_bytes"] = before + file.stat().st_size


def _visible(folder: Path) -> dict[str, Path]:
    found = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            found[relative.as_posix()] = path
    return dict(sorted(found.items()))


def _read_txt(path: Path, name: str, counts: Counter[str]) -> Iterator[Document]:
    number = 0
    for raw in _pieces(path):
        text = strip_project_gutenberg(decode(raw, str(path), counts), counts)
        for pieces in _cut(paragraphs(text, counts)):
            number += 1
            yield Document(name if number == 1 else f"{name}#{number}", path.stem, join(pieces))
        counts["input_bytes"] += len(raw)
    if not number:
        yield Document(name, path.stem, "")


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces that end at a paragraph, each decoded by itself."""
    with path.open("rb") as file:
        while raw := file.read(PIECE_BYTES):
            if len(raw) == PIECE_BYTES and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                problem = f"{path} is UTF-16 or UTF-32 and larger than {PIECE_BYTES} bytes"
                raise DataError(problem, "convert it to UTF-8")
            yield raw + file.readline() + b"".join(_to_blank_line(file))


def _to_blank_line(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines up to a blank one, or about DOCUMENT_BYTES in a text that has none."""
    size = 0
    while size < DOCUMENT_BYTES and (line := file.readline()):
        yield line
        if not line.strip():
            return
        size += len(line)


def _cut(pieces: list[str]) -> Iterator[list[str]]:
    """Yield runs of paragraphs that hold DOCUMENT_BYTES or just over; the last may be short."""
    run: list[str] = []
    size = 0
    for piece in pieces:
        run.append(piece)
        size += len(piece.encode()) + 2
        if size >= DOCUMENT_BYTES:
            yield run
            run, size = [], 0
    if run:
        yield run


def _read_jsonl(path: Path, name: str, counts: Counter[str]) -> Iterator[Document]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            counts["input_bytes"] += len(line)
            where = f"{path}, line {number}"
            text = decode(line, where, counts).strip()
            if text:
                yield _from_fields(_parse(text, where), where, f"{name}#{number}", counts)


def _parse(line: str, where: str) -> dict[str, Any]:
    remedy = 'make it one JSON object with a field "text"'
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where} is not JSON ({error})", remedy) from error
    except RecursionError as error:
        raise DataError(f"{where} is nested too deep", remedy) from error
    if not isinstance(fields, dict):
        raise DataError(f"{where} is no JSON object but {line[:40]!r}", remedy)
    return fields


def _read_parquet(path: Path, name: str, counts: Counter[str]) -> Iterator[Document]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            present = file.schema_arrow.names
            _check_fields(present, str(path))
            columns = [column for column in ("text", "id", "title") if column in present]
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                for fields in batch.to_pylist():
                    number += 1
                    where = f"{path}, row {number}"
                    yield _from_fields(fields, where, f"{name}#{number}", counts)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problem = f"{path} cannot be read as Parquet after row {number} ({error})"
        raise DataError(problem, "write or download it again") from error


def _from_fields(
    fields: dict[str, Any], where: str, default_id: str, counts: Counter[str]
) -> Document:
    """Make a document of a record; a text of null counts as empty."""
    _check_fields(fields, where)
    text = fields["text"] if fields["text"] is not None else ""
    if not isinstance(text, str):
        problem = f'{where} has a field "text" of type {type(text).__name__}'
        raise DataError(problem, "make it a string")
    text = strip_project_gutenberg(text, counts)
    identity, title = (fields.get(field) for field in ("id", "title"))
    return Document(
        default_id if identity is None else tidy(str(identity), counts),
        "" if title is None else tidy(str(title), counts),
        join(paragraphs(text, counts)),
    )


def _check_fields(fields: Collection[str], where: str) -> None:
    if "text" not in fields:
        problem = f'{where} has the fields {sorted(fields)}, not "text"'
        raise DataError(problem, 'rename the one that holds the text to "text"')


_READERS: dict[str, Callable[[Path, str, Counter[str]], Iterator[Document]]] = {
    ".txt": _read_txt,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
