"""Check a folder of shards against FORMAT.md: the manifest, every file, every hash, every row."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards.claims import check_counts, check_manifest, documents_in, is_name
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, hash_file
from shards.format import Rows, ShardHeader
from shards.manifest import MANIFEST_NAME, FileRecord, Manifest
from shards.reader import open_shard, read_shard_manifest
from shards.rules import blocks, check_rows

TOKENIZER = "tokenizer/tokenizer.json"


def verify(folder: Path, done: Callable[[int], object] = lambda size: None) -> Iterator[str]:
    """Yield a line for every problem in `folder`; an intact folder yields none.

    Files are checked on all cores, and named in the manifest's order.

    Args:
        folder: That `pack` wrote.
        done: Called with the bytes of each file that is checked, as the manifest has them.

    Raises:
        DataError: There is no manifest to verify against, or it cannot be read.
    """
    manifest, headers = read_shard_manifest(folder)
    check = _FileCheck(folder, manifest, headers)
    faults = [*check_manifest(folder, manifest, headers), *_foreign_files(folder, manifest)]
    yield from faults
    files: list[_File] = []
    pool = ThreadPoolExecutor()
    try:
        for file, record in zip(
            pool.map(check.run, manifest.files), manifest.files.values(), strict=True
        ):
            done(record.bytes)
            yield from file.problems
            faults += file.problems
            files.append(file)
    finally:
        pool.shutdown(cancel_futures=True)
    yield from _in_both_splits(files)
    if not faults:  # else what differs has been named by its cause
        total = sum((file.counts for file in files), Counter[str]())
        yield from check_counts(folder, manifest, headers, total)


def _foreign_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in manifest.files and name != MANIFEST_NAME:
            kind = "a leftover" if name.endswith(TEMPORARY_SUFFIX) else "foreign"
            yield f"{path} is {kind}: the manifest does not list it"


@dataclass
class _File:
    """What was found in a file.

    Attributes:
        path: Where it is.
        split: "train" or "validation"; "tokenizer" for what is no shard.
        problems: A line for each.
        counts: What the manifest counts of a shard's rows.
        documents: (D,) numbers of the documents that a shard's rows come from.
    """

    path: Path
    split: str
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    documents: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))


class _FileCheck:
    """Checks the files of a folder one by one."""

    def __init__(self, folder: Path, manifest: Manifest, headers: dict[int, ShardHeader]) -> None:
        self.folder = folder
        self.files = manifest.files
        self.headers = headers
        self.documents = documents_in(manifest)
        self.names = {str(record.blake3): name for name, record in manifest.files.items()}

    def run(self, name: str) -> _File:
        """Check one of the files that the manifest lists."""
        path, record = self.folder / name, self.files[name]
        file = _File(path, name.partition("/")[0])
        if not is_name(name):
            file.problems.append(f"{path} is listed, but no shards have a file of this name")
        elif not path.is_file():
            file.problems.append(f"{path} is missing")
        else:
            self._check(file, name, record)
        return file

    def _check(self, file: _File, name: str, record: FileRecord) -> None:
        path, size = file.path, file.path.stat().st_size
        content = hash_file(path)
        is_damaged = content != record.blake3
        if is_damaged and content in self.names:
            other = self.folder / self.names[content]
            file.problems.append(f"{path} is not what was written: it has the content of {other}")
        elif size != record.bytes:
            file.problems.append(f"{path} has {size} bytes, the manifest says {record.bytes}")
        elif name == TOKENIZER and content != next(iter(self.headers.values())).tokenizer:
            file.problems.append(f"{path} is not the tokenizer that made the ids")
        elif name.endswith(".arrow"):
            self._check_shard(file, self.headers.get(int(name.split("/")[1])), record)
        if is_damaged and size == record.bytes and content not in self.names:
            where = "" if file.problems else ", in bytes that break no other rule"
            line = f"{path} is not what was written: its content hash differs{where}"
            file.problems.insert(0, line)

    def _check_shard(self, file: _File, expected: ShardHeader | None, record: FileRecord) -> None:
        try:
            header, rows = open_shard(file.path)
        except DataError as error:
            file.problems.append(error.problem)
            return
        if header != expected:
            file.problems.append(f"{file.path} has another header than the manifest")
        if len(rows) != record.rows:
            line = f"{file.path} has {len(rows)} rows, the manifest says {record.rows}"
            file.problems.append(line)
        for problem, (first, count) in _wrong_rows(header, rows, self.documents).items():
            file.problems.append(f"{file.path} row {first}: {problem} ({count} such rows)")
        file.counts = _count(header, rows, file.split)
        file.documents = np.unique(rows.document)


def _wrong_rows(header: ShardHeader, rows: Rows, documents: int) -> dict[str, tuple[int, int]]:
    """Return, for each rule that is broken, the first row that breaks it, and how many do."""
    found: dict[str, tuple[int, int]] = {}
    for start, block in blocks(rows):
        unknown = (f"a document number of {documents} or more", block.document >= documents)
        for problem, wrong in (*check_rows(header, block), unknown):
            if wrong.any():
                first, count = found.get(problem, (start + int(wrong.argmax()), 0))
                found[problem] = first, count + int(wrong.sum())
    return found


def _count(header: ShardHeader, rows: Rows, split: str) -> Counter[str]:
    """Count what the manifest counts too, under the same names."""
    counts = {
        "rows": len(rows),
        f"{split}_rows": len(rows),
        "real_tokens": rows.length.sum(dtype=np.int64),
        "rows_pair": (rows.second_start < rows.length).sum(),
        "rows_swapped": (rows.sentence_order_label == 1).sum(),
    }
    return Counter({f"{header.max_length}/{name}": int(n) for name, n in counts.items()})


def _in_both_splits(files: list[_File]) -> Iterator[str]:
    """Name a document of the validation split that the training split has too, for each file."""
    if not (trained := [file.documents for file in files if file.split == "train"]):
        return
    every: NDArray[Any] = np.unique(np.concatenate(trained))
    for file in files:
        if file.split == "validation":
            both = np.intersect1d(file.documents, every, assume_unique=True)
            if len(both):
                yield f"{file.path} has rows of document {both[0]}, and so has the train split"
