"""How a .txt is cut into documents, and a long one into pieces first.

What holds more than 1 MB is cut at the first paragraph end after each, and the documents are called
NAME, NAME#2, NAME#3 and so on. A .txt of more than 16 MB is first cut into pieces, each at the
first blank line after 16 MB (at a line's end where none comes within 1 MB), which are decoded and
cut by themselves; the documents of piece 2 are called NAME#2.1, NAME#2.2 and so on.

A line need not end: a piece ends within a line that goes on for more than 1 MB, and a line of over
8 MB in a .txt of more than 16 MB is cut after each 1 MB. Both are done after the next space, or
between two characters where none comes within 1 MB. So text8, which is one line of 100 MB, takes no
more memory than a book, and becomes documents of 1 MB.
"""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import IO

from pipeline.clean import join, paragraphs
from pipeline.decode import decode
from pipeline.documents import Document
from pipeline.readers.project_gutenberg import strip_project_gutenberg
from shards.errors import DataError

DOCUMENT_BYTES = 1_000_000
"""A .txt that holds more is cut into documents of about this size."""
PIECE_BYTES = 16 << 20
"""How much of a .txt is in memory at a time."""
GIANT_LINE = 8 << 20
"""Bytes of a line; cleaning takes 12 times as much for each, as it makes it one paragraph."""

_UTF8_TAIL = bytes(range(0x80, 0xC0))
"""All but the first of a character's bytes, of which there are three at most."""


def text_ranges(path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and number of the pieces of a .txt."""
    size = path.stat().st_size
    start, number = 0, 1
    with path.open("rb") as file:
        while start < size:
            file.seek(start + PIECE_BYTES)
            stop = min(start + PIECE_BYTES, size) + _rest_of_piece(file.read(3 * DOCUMENT_BYTES))
            yield start, stop, number
            start, number = stop, number + 1


def text_pieces(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the same pieces of a stream, one at least."""
    number, ahead = 1, b""
    while True:
        raw = ahead + file.read(PIECE_BYTES + 3 * DOCUMENT_BYTES - len(ahead))
        if not raw and number > 1:
            return
        size = PIECE_BYTES + _rest_of_piece(raw[PIECE_BYTES:])
        raw, ahead = raw[:size], raw[size:]
        yield number, raw
        number += 1


def _rest_of_piece(ahead: bytes) -> int:
    """Return how many of the bytes after PIECE_BYTES belong to the piece.

    These are the rest of a line, and lines up to a blank one or about DOCUMENT_BYTES of them. No
    line of more than DOCUMENT_BYTES is among them, so 3 * DOCUMENT_BYTES are enough to tell.
    """
    file = io.BytesIO(ahead)
    rest = end = len(file.readline(DOCUMENT_BYTES + 1))
    if rest > DOCUMENT_BYTES:
        return _place_in_line(ahead[:DOCUMENT_BYTES])
    while end - rest < DOCUMENT_BYTES:
        line = file.readline(DOCUMENT_BYTES + 1)
        if len(line) > DOCUMENT_BYTES:
            break
        end += len(line)
        if not line.strip():
            break
    return end


def _place_in_line(line: bytes) -> int:
    """Return where to cut a giant line: after a CR, else a space, else where a character begins."""
    for mark in (b"\r", b" "):
        if place := line.find(mark) + 1:
            return place
    return len(line[:3]) - len(line[:3].lstrip(_UTF8_TAIL))


def text_documents(
    raw: bytes, name: str, number: int, where: str, counts: Counter[str]
) -> Iterator[Document]:
    """Yield the documents of a piece, an empty one if there is nothing in the first.

    Args:
        raw: The piece.
        name: Of the file; the ids begin with it.
        number: Of the piece, counted from 1.
        where: What to call the file in an error.
        counts: What is dropped and repaired.

    Raises:
        DataError: The piece is binary, or is not all of a file in UTF-16 or UTF-32.
    """
    if len(raw) >= PIECE_BYTES and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = f"{where} is UTF-16 or UTF-32 and larger than {PIECE_BYTES:,} bytes"
        raise DataError(problem, "convert it to UTF-8")
    file = PurePath(name).name
    title = file[: file.lower().rindex(".txt")]
    prefix = f"{name}#" if number == 1 else f"{name}#{number}."
    count = 0
    is_long = number > 1 or len(raw) >= PIECE_BYTES
    for some in _cut_giant_lines(raw) if is_long else [raw]:
        text = strip_project_gutenberg(decode(some, where, counts), counts)
        for run in _runs(paragraphs(text, counts)):
            count += 1
            identity = name if number == count == 1 else f"{prefix}{count}"
            yield Document(identity, title, join(run))
    if not count and number == 1:
        yield Document(name, title, "")


def _cut_giant_lines(raw: bytes) -> Iterator[bytes]:
    """Yield a piece in one, but a giant line in it by itself, about DOCUMENT_BYTES at a time."""
    done = end = 0
    for line in io.BytesIO(raw):
        start, end = end, end + len(line)
        if len(line) > GIANT_LINE:
            if done < start:
                yield raw[done:start]
            while start < end:
                ahead = min(start + DOCUMENT_BYTES, end)
                done = ahead + _place_in_line(raw[ahead : min(ahead + DOCUMENT_BYTES, end)])
                yield raw[start:done]
                start = done
    if done < end:
        yield raw[done:]


def _runs(pieces: list[str]) -> Iterator[list[str]]:
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
