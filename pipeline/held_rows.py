"""The rows of a shard until they are written: how many are made at a time, how many are held.

Rows can take far more memory than their text: a document of one word is a row of `max_length`
tokens with all its mask sets. Where rows are divided therefore depends on their own size; it does
not depend on `--memory`, which must not change what is made.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.choose import SPLITS
from pipeline.encode import EncodedDocuments
from shards.format import Rows, ShardHeader, scatter
from shards.manifest import FileRecord
from shards.writer import write_shard

MADE_BYTES = 16 << 20
"""About what the rows take that are made at a time."""
HELD_BYTES = 96 << 20
"""What rows may take until a shard's largest file is written without waiting for its last row."""

Kind = tuple[str, int]
"""Split and length: the rows of one file."""


def few_rows(
    encoded: EncodedDocuments, header: ShardHeader
) -> Iterator[tuple[EncodedDocuments, slice]]:
    """Yield runs of documents whose rows take about MADE_BYTES, with their numbers.

    A document is never divided: the rows of a long one take a small multiple of its tokens.
    """
    tokens = np.diff(encoded.sentences[encoded.documents])
    # At worst, pieces of cut sentences and other rows take turns, and each two fill one row.
    rows = 1 + 2 * tokens / header.max_length
    run_of = (np.cumsum(rows) * header.row_bytes / MADE_BYTES).astype(np.int64)
    borders = np.flatnonzero(np.diff(run_of)) + 1
    if not len(borders):
        yield encoded, slice(0, len(tokens))
        return
    for first, last in zip([0, *borders], [*borders, len(tokens)], strict=True):
        yield _of_documents(encoded, int(first), int(last)), slice(first, last)


def _of_documents(encoded: EncodedDocuments, first: int, last: int) -> EncodedDocuments:
    """Return the documents from `first` to before `last`."""
    documents = encoded.documents[first : last + 1]
    sentences = encoded.sentences[documents[0] : documents[-1] + 1]
    tokens = slice(sentences[0], sentences[-1])
    return EncodedDocuments(
        encoded.input_ids[tokens],
        encoded.is_word_start[tokens],
        encoded.is_punctuation[tokens],
        sentences - sentences[0],
        documents - documents[0],
    )


class HeldRows:
    """Rows that wait to be shuffled and written.

    Args:
        out: Folder of shards.
        name: The shard's.
        header: Of all shards; only its length changes.
        key: Of the order in which rows are written: the seed, and the shard's number. The split,
            the length and the file's number make it another order for each file.
    """

    def __init__(self, out: Path, name: str, header: ShardHeader, key: tuple[int, int]) -> None:
        self.out, self.name, self.header, self.key = out, name, header, key
        self._rows: dict[Kind, list[Rows]] = {}
        self._bytes: dict[Kind, int] = {}
        self._files: dict[str, FileRecord] = {}

    def add(self, kind: Kind, rows: Rows) -> None:
        """Hold rows, unless there are none; write the largest file if that makes too many."""
        if not len(rows):
            return
        self._rows.setdefault(kind, []).append(rows)
        self._bytes[kind] = self._bytes.get(kind, 0) + rows.nbytes
        if sum(self._bytes.values()) > HELD_BYTES:
            self._write(max(self._bytes, key=lambda one: self._bytes[one]))

    def write_all(self) -> dict[str, FileRecord]:
        """Write what is held; return the records of all files that were written."""
        for kind in list(self._rows):
            self._write(kind)
        return self._files

    def _write(self, kind: Kind) -> None:
        """Write the rows of a kind in an order drawn for this file."""
        split, length = kind
        number = 0
        while (name := f"{split}/{length}/{self._file(number)}") in self._files:
            number += 1
        parts = self._rows.pop(kind)
        del self._bytes[kind]
        seed, shard = self.key
        key, counter = [seed, shard + (number << 32)], [0, length, SPLITS.index(split), 0]
        generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
        order: NDArray[np.int64] = generator.permutation(sum(map(len, parts)))
        header = replace(self.header, max_length=length)
        self._files[name] = write_shard(self.out / name, header, scatter(parts, order))

    def _file(self, number: int) -> str:
        """Name a file; only rows that are many for their text need more than one."""
        return f"{self.name}-{number}.arrow" if number else f"{self.name}.arrow"
