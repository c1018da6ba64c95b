"""Exact copies: a document whose text an earlier one of its source had is not read again."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.documents import row_groups
from shards.manifest import FileRecord


def find_copies(folder: Path, files: Mapping[str, FileRecord]) -> dict[str, list[int]]:
    """Return the rows of each part whose hash an earlier document had; parts without are left out.

    All hashes are in memory at once: some 30 bytes a document while they are sorted.
    """
    ends = np.cumsum([record.rows for record in files.values()])
    hashes = np.empty(ends[-1], np.uint64)
    for name, end in zip(files, ends, strict=True):
        column = pq.read_table(folder / name, columns=["hash"])["hash"].to_numpy()
        hashes[end - len(column) : end] = column
    order = np.argsort(hashes, kind="stable")  # equal ones stay in input order
    hashes = hashes[order]
    is_copy = np.zeros(len(hashes), dtype=bool)
    is_copy[order[1:][hashes[1:] == hashes[:-1]]] = True
    parts = zip(files, np.split(is_copy, ends[:-1]), strict=True)
    return {name: np.flatnonzero(part).tolist() for name, part in parts if part.any()}


def copied_bytes(folder: Path, copies: Mapping[str, list[int]]) -> int:
    """Return how many bytes of text the copies hold."""
    total = 0
    for name, rows in copies.items():
        part = pq.ParquetFile(folder / name)
        for group in row_groups(folder / name, rows):
            if group.copies:
                texts = part.read_row_group(group.group, columns=["text"])["text"]
                total += pc.sum(pc.binary_length(texts.take(list(group.copies)))).as_py()
    return total
