"""What the readers share: how large a part is, and what a reader offers."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.config import FetchConfig
from pipeline.documents import Document

SMALL_SOURCE_PARTS = 16
"""A small source is divided into about so many parts, to be worked on in parallel."""
SMALLEST_PART = 1 << 19
"""Bytes: less is not worth a file."""


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
