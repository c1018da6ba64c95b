"""Books: the Gutenberg.zip of Lahiri (ACL SRW 2014), or a folder of .txt files like those in it.

Members are called `AUTHOR___TITLE.txt`; an underscore within a name stands for a character that
file systems refuse: before a space for a colon (`Emma_ A Novel`), elsewhere for a space.
Nothing is unpacked to disk.
"""

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.clean import has_letter, join, paragraphs, tidy
from pipeline.decode import decode_member
from pipeline.documents import Document
from pipeline.sources.parallel import in_order
from pipeline.sources.project_gutenberg import strip_book_marks, strip_project_gutenberg
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

LARGEST_BOOK = 256 << 20
"""A member that claims to be larger is no book (the largest real one is under 8 MB)."""
TASK_BYTES = 4 << 20
"""Text sent to a worker at a time."""


class Book(NamedTuple):
    """A raw book, and how far into the input its end lies."""

    name: str
    raw: bytes
    input_bytes: int


def input_files(path: Path) -> dict[str, Path]:
    """Return the zip, or the .txt files of a folder.

    Raises:
        DataError: `path` is neither a zip nor a folder with .txt files.
    """
    if path.is_file():
        if not zipfile.is_zipfile(path):
            problem = f"{path} is not a whole zip"
            raise DataError(problem, "download Gutenberg.zip again, or name a folder of .txt files")
        return {path.name: path}
    found = {file.relative_to(path).as_posix(): file for file in path.rglob("*.txt")}
    if not found:
        raise DataError(f"{path} holds no .txt file", "name Gutenberg.zip or its folder in --from")
    return dict(sorted(found.items()))


def documents(path: Path, counts: Counter[str], workers: int) -> Iterator[Document]:
    """Yield a document for each book, in the order of their names."""
    books = _zipped(path, counts) if path.is_file() else _in_folder(path)
    for made, made_counts in in_order(_clean_books, _tasks(books), workers):
        counts["input_bytes"] = made_counts.pop("input_bytes")
        counts.update(made_counts)
        yield from made


def parse_title(name: str) -> str:
    """Return the title in a member's name, without the author."""
    stem = PurePosixPath(name).name.removesuffix(".txt")
    return stem.rpartition("___")[2].replace("_ ", ": ").replace("_", " ").strip()


def _tasks(books: Iterator[Book]) -> Iterator[list[Book]]:
    task: list[Book] = []
    for book in books:
        task.append(book)
        if sum(len(one.raw) for one in task) >= TASK_BYTES:
            yield task
            task = []
    if task:
        yield task


def _clean_books(books: list[Book]) -> tuple[list[Document], Counter[str]]:
    counts: Counter[str] = Counter()
    made = []
    for book in books:
        counts["input_bytes"] = book.input_bytes
        text = decode_member(book.raw, counts)
        if text is None:
            continue
        text = strip_book_marks(strip_project_gutenberg(text, counts), counts)
        pieces = paragraphs(text, counts)
        kept = [piece for piece in pieces if has_letter(piece)]
        if len(kept) < len(pieces):
            counts["dropped: paragraphs without a letter"] += len(pieces) - len(kept)
        if kept:
            made.append(Document(book.name, tidy(parse_title(book.name), counts), join(kept)))
        else:
            counts["dropped: empty books"] += 1
    return made, counts


def _in_folder(folder: Path) -> Iterator[Book]:
    done = 0
    for name, file in input_files(folder).items():
        raw = file.read_bytes()
        done += len(raw)
        yield Book(name, raw, done)


def _zipped(path: Path, counts: Counter[str]) -> Iterator[Book]:
    done = 0
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            books = [member for member in members if member.filename.lower().endswith(".txt")]
            counts["dropped: files of another kind"] += len(members) - len(books)
            for member in sorted(books, key=lambda member: member.filename):
                done += member.compress_size
                if member.file_size > LARGEST_BOOK:
                    problem = f"{path}: {member.filename} claims {member.file_size} bytes"
                    raise DataError(problem, "this is no book; download Gutenberg.zip again")
                yield Book(member.filename, archive.read(member), done)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        problem = f"{path} is damaged or no plain zip ({error})"
        raise DataError(problem, "download Gutenberg.zip again") from error
