"""What the readers share: the files of a folder, how large a part is, and what a reader offers."""

import errno
import os
import stat
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from pipeline.config import FetchConfig
from pipeline.documents import Document

SMALL_SOURCE_PARTS = 16
"""A small source is divided into about so many parts, to be worked on in parallel."""
SMALLEST_PART = 1 << 19
"""Bytes: less is not worth a file."""

_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What is said of a link that ends nowhere."""


class RawPart(Protocol):
    """Some of the raw text; it can be sent to another process."""

    @property
    def input_bytes(self) -> int:
        """Bytes of the raw files on disk that this part takes the reading forward."""


AnyPart = TypeVar("AnyPart", bound=RawPart)


class Reader(Protocol[AnyPart]):
    """What every module of `pipeline.readers` offers."""

    LIBRARIES: tuple[str, ...]
    """Packages whose version can change the documents."""

    def find(self, path: Path) -> dict[str, Path]:
        """Return the raw files under `path` by name, in order; a DataError if it has none."""

    def divide(
        self, files: Mapping[str, Path], config: FetchConfig, workers: int
    ) -> Iterator[AnyPart]:
        """Yield the parts of these files, in order; how they are cut never depends on `workers`."""

    def read(self, part: AnyPart, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
        """Yield the clean documents of a part.

        Counts in `counts` what is dropped ("dropped: WHY") and repaired ("cleaned: WHAT").
        """


def part_bytes(total: int, largest: int) -> int:
    """Return how much of `total` raw bytes goes into a part: at most `largest`."""
    return min(max(total // SMALL_SOURCE_PARTS, SMALLEST_PART), largest)


def visible_files(folder: Path) -> dict[str, Path]:
    """Return the files under `folder` by name relative to it (with `/`), sorted by name.

    Hidden files and folders are passed over, and so are links to nothing. Other links are followed,
    those to folders last: a folder that is met again, as in a cycle, is not entered again, and
    keeps its own name rather than a link's.

    Raises:
        OSError: A folder cannot be read.
    """
    found: dict[str, Path] = {}
    entered: set[tuple[int, int]] = set()
    roots = deque([folder])
    while roots:
        for place, folders, names in os.walk(roots.popleft(), onerror=_raise):
            status = Path(place).stat()
            if (status.st_dev, status.st_ino) in entered:
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = [Path(place, name) for name in names if not name.startswith(".")]
            roots.extend(path for name in folders if (path := Path(place, name)).is_symlink())
            found |= {path.relative_to(folder).as_posix(): path for path in paths if _is_file(path)}
    return dict(sorted(found.items()))


def _raise(error: OSError) -> NoReturn:
    raise error


def _is_file(path: Path) -> bool:
    """Return whether this is a file; unlike `Path.is_file`, raise where that cannot be told."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if error.errno in _NOTHING:
            return False
        raise
