"""Check a folder of shards against FORMAT.md: every file, every hash, every row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, hash_file
from shards.format import NO_LABEL, Rows, ShardHeader, mask_budget, unpack_masks
from shards.manifest import MANIFEST_NAME, FileRecord
from shards.reader import open_shard, read_shard_manifest

Wrong = NDArray[np.bool_] | np.bool_
"""(N,): the rows that break a rule."""

TOKENIZER = "tokenizer/tokenizer.json"
BLOCK_ROWS = 8192
"""Rows checked at a time, to bound memory."""


def verify(folder: Path) -> Iterator[str]:
    """Yield a line for every problem in `folder`; an intact folder yields none.

    Raises:
        DataError: There is no manifest to verify against.
    """
    manifest, header = read_shard_manifest(folder)
    documents = sum(source["documents"] for source in manifest.counts.get("sources", []))
    documents_of: dict[str, NDArray[Any]] = {}
    yield from _foreign_files(folder, set(manifest.files))
    for name, record in manifest.files.items():
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing"
        elif path.stat().st_size != record.bytes:
            yield f"{path} has {path.stat().st_size} bytes, the manifest says {record.bytes}"
        else:
            if hash_file(path) != record.blake3:
                yield f"{path} is not what was written: its content hash differs"
            if name == TOKENIZER and record.blake3 != header.tokenizer:
                yield f"{path} is not the tokenizer that made the ids"
            if path.suffix == ".arrow":
                yield from _shard(path, header, record, documents)
                yield from _split(path, name.partition("/")[0], documents_of)


def _foreign_files(folder: Path, known: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known and name != MANIFEST_NAME:
            kind = "a leftover" if name.endswith(TEMPORARY_SUFFIX) else "foreign"
            yield f"{path} is {kind}: the manifest does not list it"


def _shard(path: Path, expected: ShardHeader, record: FileRecord, documents: int) -> Iterator[str]:
    try:
        header, rows = open_shard(path)
    except DataError as error:
        yield error.problem
        return
    if header != expected:
        yield f"{path} has another header than the manifest"
    if len(rows) != record.rows:
        yield f"{path} has {len(rows)} rows, the manifest says {record.rows}"
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows.take(slice(start, start + BLOCK_ROWS))
        unknown = (f"a document number of {documents} or more", block.document >= documents)
        for problem, wrong in (*check_rows(header, block), unknown):
            if not wrong.any():
                continue
            first = start + int(np.flatnonzero(wrong)[0])
            yield f"{path} row {first}: {problem} ({int(wrong.sum())} such rows in this block)"


def _split(path: Path, split: str, documents_of: dict[str, NDArray[Any]]) -> Iterator[str]:
    """Add a shard's documents to its split's, and name one that another split has too."""
    try:
        found = np.unique(open_shard(path)[1].document)
    except DataError:
        return  # named already
    for other, documents in documents_of.items():
        if other != split and len(both := np.intersect1d(found, documents)):
            yield f"{path} has rows of document {both[0]}, and so has the {other} split"
    documents_of[split] = np.union1d(documents_of.get(split, found), found)


def check_rows(header: ShardHeader, rows: Rows) -> Iterator[tuple[str, Wrong]]:
    """Yield (problem, (N,) bool of the rows that have it) for each rule that some row breaks."""
    for problem, wrong in _rules(header, rows):
        if wrong.any():
            yield problem, wrong


def _rules(header: ShardHeader, rows: Rows) -> Iterator[tuple[str, Wrong]]:
    ids, width = rows.input_ids, header.max_length
    length = rows.length.astype(np.int64)
    second = rows.second_start.astype(np.int64)
    last = np.clip(length - 1, 0, width - 1)
    row = np.arange(len(rows))
    position = np.arange(width)
    real = position < length[:, None]
    special = _special_positions(length, second, position)

    yield "an id outside the vocabulary", (ids >= header.vocab_size).any(1)
    yield "a length outside 3 to the width", (length < 3) | (length > width)
    yield "padding that is not [PAD]", (~real & (ids != header.pad_token_id)).any(1)
    yield "no [CLS] at the start", ids[:, 0] != header.cls_token_id
    yield "no [SEP] at the end", ids[row, last] != header.sep_token_id
    # B begins right after a [SEP] and holds at least one token before its own.
    has_second = second != length
    yield "a second segment out of place", has_second & ((second < 3) | (second > length - 2))
    before = ids[row, np.clip(second - 1, 0, width - 1)]
    yield "no [SEP] before the second segment", before != header.sep_token_id
    yield "a label that is not 0, 1 or 255", ~np.isin(rows.sentence_order_label, (0, 1, NO_LABEL))
    yield (
        "a label that does not fit its segments",
        has_second == (rows.sentence_order_label == NO_LABEL),
    )
    structural = [
        header.cls_token_id,
        header.sep_token_id,
        header.pad_token_id,
        header.mask_token_id,
    ]
    yield "a special token inside a segment", (np.isin(ids, structural) & ~special & real).any(1)
    yield from _mask_rules(header, rows, special | ~real)


def _special_positions(
    length: NDArray[Any], second: NDArray[Any], position: NDArray[Any]
) -> NDArray[np.bool_]:
    """Return (N, L): where [CLS] and [SEP] belong."""
    places = np.stack([np.zeros_like(length), length - 1, second - 1], axis=1)
    found: NDArray[np.bool_] = (position == places[:, :, None]).any(axis=1)
    return found


def _mask_rules(
    header: ShardHeader, rows: Rows, forbidden: NDArray[np.bool_]
) -> Iterator[tuple[str, Wrong]]:
    budget = mask_budget(rows.length, header.mask_probability)
    for which in range(header.mask_sets):
        packed = rows.mask_set(np.full(len(rows), which), header)
        chosen = unpack_masks(packed, header.max_length)
        yield f"mask set {which} covers special tokens or padding", (chosen & forbidden).any(1)
        yield f"mask set {which} is over its budget", chosen.sum(1) > budget
        beyond = np.unpackbits(packed, axis=1, bitorder="little")[:, header.max_length :]
        yield f"mask set {which} has bits beyond the row", beyond.any(1)
