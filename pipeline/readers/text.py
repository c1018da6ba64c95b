"""A person's own text: a file, or a folder searched whole, of .txt, .jsonl and .parquet.

A .txt or .jsonl may be compressed besides (.gz, .bz2, .xz, .zst). Other files and hidden ones are
passed over.

A .txt is one document, or several if it is long (see `pipeline.readers.txt`). A line of .jsonl or a
row of .parquet is one document, called NAME#NUMBER if it has no id, and refused if too large (see
`pipeline.readers.records`). `--max-member-size` has no say here. What Project Gutenberg puts around
its books is dropped.
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers.archives import AGAIN
from pipeline.readers.compressed import SUFFIXES, damage, unpack
from pipeline.readers.parts import part_bytes, visible_files
from pipeline.readers.records import Records, open_parquet, read_line
from pipeline.readers.txt import text_documents, text_pieces, text_ranges
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

LARGEST_PART = 32 << 20
"""Bytes on disk, except where a .txt is one piece."""
SENT_BYTES = 8 << 20
"""Lines of a .jsonl that are unpacked for a worker at a time."""
READ_BYTES = 1 << 18

KINDS = (".txt", ".jsonl", ".parquet")


class Piece(NamedTuple):
    """A file, or some of it.

    Attributes:
        name: Of the file in its folder.
        path: The file.
        start: The first byte on disk; of a .parquet, the first row group.
        stop: The byte or row group after the last; None takes all.
        first: The number of the first line, row or piece of a .txt, counted from 1.
        raw: Text already unpacked, instead of a place on disk.
    """

    name: str
    path: Path
    start: int = 0
    stop: int | None = None
    first: int = 1
    raw: bytes | None = None


class Part(NamedTuple):
    """Several small files, or a piece of a large one."""

    pieces: tuple[Piece, ...]
    input_bytes: int


def find(path: Path) -> dict[str, Path]:
    """Return the files to read, sorted by name.

    Raises:
        DataError: `path` is a file of another kind, or a folder without any of these.
    """
    if path.is_file():
        if not _kind(path):
            problem = f"{path} is none of {', '.join(KINDS)}, nor a .txt or .jsonl compressed"
            raise DataError(problem, "convert it, or rename it if it is one")
        return {path.name: path}
    files = {name: file for name, file in visible_files(path).items() if _kind(file)}
    if not files:
        raise DataError(f"{path} holds no {', '.join(KINDS)}", "name a folder that does in --from")
    return files


def divide(files: Mapping[str, Path], config: FetchConfig, workers: int) -> Iterator[Part]:
    """Yield groups of small files, and the pieces of each large one.

    Raises:
        DataError: A large file is damaged, or a .jsonl that has too long a line.
    """
    sizes = {name: path.stat().st_size for name, path in files.items()}
    largest = part_bytes(sum(sizes.values()), LARGEST_PART)
    group: list[Piece] = []
    size = 0
    for name, path in files.items():
        is_large = sizes[name] > largest
        if group and (is_large or size >= largest):
            yield Part(tuple(group), size)
            group, size = [], 0
        if is_large:
            yield from _divide_large(name, path, largest)
        else:
            group.append(Piece(name, path))
            size += sizes[name]
    if group:
        yield Part(tuple(group), size)


def read(part: Part, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
    """Yield the documents of a part in the order of their files."""
    for piece in part.pieces:
        for document in _read_piece(piece, config, counts):
            if document.text:
                yield document
            else:
                counts["dropped: empty texts"] += 1


def _kind(path: Path) -> str:
    """Return which of KINDS a file is, compressed or not; nothing for others."""
    if path.suffix.lower() in SUFFIXES:
        kind = Path(path.stem).suffix.lower()
        return kind if kind in KINDS and kind != ".parquet" else ""
    return path.suffix.lower() if path.suffix.lower() in KINDS else ""


def _divide_large(name: str, path: Path, largest: int) -> Iterator[Part]:
    kind = _kind(path)
    if kind == ".parquet":
        yield from _row_groups(name, path, largest)
    elif path.suffix.lower() in SUFFIXES:
        yield from _send(name, path)
    else:
        ranges = _line_ranges(path, largest) if kind == ".jsonl" else text_ranges(path)
        for start, stop, first in ranges:
            yield Part((Piece(name, path, start, stop, first),), stop - start)


def _line_ranges(path: Path, largest: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and first line number of runs of lines of `largest` bytes or just over."""
    start, position, first, lines = 0, 0, 1, 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            cut = block.find(b"\n", max(0, start + largest - 1 - position)) + 1
            if cut and position + cut - start >= largest:
                yield start, position + cut, first
                first += lines + block.count(b"\n", 0, cut)
                start, lines = position + cut, 0
            else:
                cut = 0
            lines += block.count(b"\n", cut)
            position += len(block)
    if start < position:
        yield start, position, first


def _line_pieces(file: IO[bytes], where: str) -> Iterator[tuple[int, bytes]]:
    """Yield runs of whole lines and the number of the first line in each."""
    first = 1
    while raw := file.read(SENT_BYTES):
        last = first + raw.count(b"\n")
        raw += read_line(file, f"{where}, line {last}")
        yield first, raw
        first = last + raw.endswith(b"\n")


def _send(name: str, path: Path) -> Iterator[Part]:
    """Yield parts that carry the text of a compressed file, unpacked here and now."""
    done = 0
    with path.open("rb") as file, damage(str(path), AGAIN):
        text = unpack(file, path)
        is_jsonl = _kind(path) == ".jsonl"
        for first, raw in _line_pieces(text, str(path)) if is_jsonl else text_pieces(text):
            end = file.tell()
            yield Part((Piece(name, path, first=first, raw=raw),), end - done)
            done = end
    if rest := path.stat().st_size - done:
        yield Part((), rest)


def _row_groups(name: str, path: Path, largest: int) -> Iterator[Part]:
    """Yield runs of row groups; the bytes on disk are shared out by rows."""
    with open_parquet(path) as file:
        rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    size, all_rows = path.stat().st_size, max(sum(rows), 1)
    start = row = done = 0
    for stop, end in enumerate(accumulate(rows), 1):
        position = size * end // all_rows
        if position - done >= largest:
            yield Part((Piece(name, path, start, stop, row + 1),), position - done)
            start, row, done = stop, end, position
    if done < size:
        yield Part((Piece(name, path, start, len(rows), row + 1),), size - done)


def _read_piece(piece: Piece, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
    records = Records(piece.path, piece.name, config, counts)
    if _kind(piece.path) == ".parquet":
        yield from records.rows(piece.start, piece.stop, piece.first)
        return
    with piece.path.open("rb") as file, damage(str(piece.path), AGAIN):
        text = unpack(file, piece.path) if piece.raw is None else io.BytesIO(piece.raw)
        size = None if piece.stop is None else piece.stop - piece.start
        if size is not None:
            file.seek(piece.start)
        if _kind(piece.path) == ".jsonl":
            yield from records.lines(text, size, piece.first)
        elif size is not None or piece.raw is not None:
            raw = text.read(-1 if size is None else size)
            yield from text_documents(raw, piece.name, piece.first, str(piece.path), counts)
        else:
            for number, raw in text_pieces(text):
                yield from text_documents(raw, piece.name, number, str(piece.path), counts)
