"""Books: Gutenberg.zip (Lahiri, EACL student research workshop 2014), or a folder of its .txt.

Members are called `AUTHOR___TITLE.txt`; an underscore within a name stands for a character that
file systems refuse: before a space for a colon (`Emma_ A Novel`), elsewhere for a space.
Nothing is unpacked to disk.
"""

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.clean import has_letter, join, paragraphs, tidy
from pipeline.config import FetchConfig
from pipeline.decode import decode_member
from pipeline.documents import Document
from pipeline.readers.archives import (
    LARGEST_TEXT,
    open_zip,
    read_bounded,
    read_zipped,
    zip_members,
)
from pipeline.readers.parts import part_bytes, visible_files
from pipeline.readers.project_gutenberg import strip_book_marks, strip_project_gutenberg
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

LARGEST_PART = 32 << 20
"""Bytes of text."""


class Book(NamedTuple):
    """Where a raw book is: a file, or the member `name` of a zip.

    Attributes:
        name: Of the member, or of the file in its folder.
        path: The file, or the zip.
        size: Bytes of text.
        input_bytes: Bytes on disk.
    """

    name: str
    path: Path
    size: int
    input_bytes: int


class Part(NamedTuple):
    """Some books, all of one zip or all files; `others` counts the files of another kind."""

    books: tuple[Book, ...]
    input_bytes: int
    others: int = 0


def find(path: Path) -> dict[str, Path]:
    """Return the zip, or the .txt files of a folder.

    Raises:
        DataError: `path` is neither a zip nor a folder with one or with .txt files.
    """
    if path.is_file():
        return {path.name: path}
    visible = visible_files(path)
    texts = {name: file for name, file in visible.items() if name.endswith(".txt")}
    zips = {
        name: file for name, file in visible.items() if name.endswith(".zip") and "/" not in name
    }
    remedy = "name Gutenberg.zip or the folder of its .txt files in --from"
    if zips and texts:
        raise DataError(f"{path} holds {min(zips)} and .txt files", remedy)
    if not zips and not texts:
        raise DataError(f"{path} holds no .txt file", remedy)
    return zips or texts


def divide(files: Mapping[str, Path], config: FetchConfig, workers: int) -> Iterator[Part]:
    """Yield lists of books in the order of their names; of a zip only the directory is read.

    Raises:
        DataError: A zip is damaged or has a member that is refused.
    """
    loose = []
    for name, path in files.items():
        if path.suffix.lower() == ".txt":
            size = path.stat().st_size
            loose.append(Book(name, path, size, size))
        else:
            yield from _divide_zip(path)
    yield from _group(loose)


def read(part: Part, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
    """Yield a document for each book."""
    if part.others:
        counts["dropped: files of another kind"] += part.others
    for name, raw in _contents(part, min(config.max_member_size, LARGEST_TEXT)):
        text = decode_member(raw, counts)
        if text is None:
            continue
        text = strip_book_marks(strip_project_gutenberg(text, counts), counts)
        pieces = paragraphs(text, counts)
        kept = [piece for piece in pieces if has_letter(piece)]
        if len(kept) < len(pieces):
            counts["dropped: paragraphs without a letter"] += len(pieces) - len(kept)
        if kept:
            yield Document(name, tidy(parse_title(name), counts), join(kept))
        else:
            counts["dropped: empty books"] += 1


def parse_title(name: str) -> str:
    """Return the title in a member's name, without the author."""
    stem = PurePosixPath(name).name.removesuffix(".txt")
    return stem.rpartition("___")[2].replace("_ ", ": ").replace("_", " ").strip()


def _divide_zip(path: Path) -> Iterator[Part]:
    if not zipfile.is_zipfile(path):
        problem = f"{path} is not a whole zip"
        raise DataError(problem, "download Gutenberg.zip again, or name a folder of .txt files")
    with open_zip(path) as archive:
        members = zip_members(archive, str(path))
    books = [
        Book(member.filename, path, member.file_size, member.compress_size)
        for member in members
        if member.filename.lower().endswith(".txt")
    ]
    # The first part takes all that is no book's: the directory, headers, files of another kind.
    rest = path.stat().st_size - sum(book.input_bytes for book in books)
    others = len(members) - len(books)
    for part in _group(books) if books else [Part((), 0)]:
        yield Part(part.books, part.input_bytes + rest, others)
        rest = others = 0


def _group(books: list[Book]) -> Iterator[Part]:
    largest = part_bytes(sum(book.size for book in books), LARGEST_PART)
    group: list[Book] = []
    size = 0
    for book in books:
        group.append(book)
        size += book.size
        if size >= largest:
            yield _part(group)
            group, size = [], 0
    if group:
        yield _part(group)


def _part(books: list[Book]) -> Part:
    return Part(tuple(books), sum(book.input_bytes for book in books))


def _contents(part: Part, limit: int) -> Iterator[tuple[str, bytes]]:
    if not part.books or part.books[0].path.suffix.lower() == ".txt":
        for book in part.books:
            with book.path.open("rb") as file:
                yield book.name, read_bounded(file, limit, str(book.path))
        return
    path = part.books[0].path
    with open_zip(path) as archive:
        for book in part.books:
            yield book.name, read_zipped(archive, book.name, str(path), limit)
