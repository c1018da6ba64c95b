"""Files that are whole or absent: temporary name, flush, rename; and their content hashes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

TEMPORARY_SUFFIX = ".partial"


class Attempt(NamedTuple):
    """One of several attempts at a task, made by two machines perhaps at the same time.

    Attributes:
        name: Comes before the suffix of temporary names.
        check: Called before a file takes its place; raises where it must not.
    """

    name: str = ""
    check: Callable[[], None] = lambda: None


_ONLY_ATTEMPT = Attempt()
ATTEMPT: ContextVar[Attempt] = ContextVar("ATTEMPT", default=_ONLY_ATTEMPT)
"""The attempt that this thread makes."""


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under `path` only once it is complete and on disk.

    A fixed temporary name lets the next run overwrite what a killed run left behind. A failing
    write names no file by itself; here it does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    attempt = ATTEMPT.get()
    temporary = path.with_name(path.name + attempt.name + TEMPORARY_SUFFIX)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        attempt.check()
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 under `path`, whole or not at all."""
    with write_atomically(path) as file:
        file.write(text.encode())


def sync(path: Path) -> None:
    """Make the content of a file, or the renames inside a folder, durable."""
    with suppress(PermissionError):  # Windows refuses to open a folder
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def hash_file(path: Path) -> str:
    """Return the BLAKE3 hash of a file's content as 64 hexadecimal digits."""
    return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
