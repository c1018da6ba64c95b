"""From raw files to Parquet parts of documents, on all cores; a kill loses a few parts at most."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.bar import bar
from pipeline.clean import tidy
from pipeline.config import FetchConfig
from pipeline.documents import Document, DocumentWriter
from pipeline.executors import Crew
from pipeline.readers.parts import RawPart, Reader
from pipeline.stage import Part, run_parts
from shards.errors import DataError
from shards.manifest import Manifest, record_file


@dataclass(frozen=True)
class Batch:
    """Raw files that are divided together.

    Attributes:
        files: Paths by name.
        fingerprint: Hash of their content.
        parts: How many parts they were divided into, where the files themselves are gone by now.
    """

    files: dict[str, Path]
    fingerprint: str
    parts: int | None = None


@dataclass(frozen=True)
class ExtractTask:
    """One part to make; `raw` is None where an earlier run must have made it."""

    number: int
    reader: str
    fingerprint: str
    raw: RawPart | None
    config: FetchConfig
    out: Path

    @property
    def name(self) -> str:
        """Name the part; another input is another part."""
        return f"part-{self.number:05d}-{self.fingerprint[:16]}"

    @property
    def file_name(self) -> str:
        """Name the part's file; a part without documents has none."""
        return f"part-{self.number:05d}.parquet"


def read_with(name: str) -> Reader[Any]:
    """Import a reader."""
    reader: Reader[Any] = import_module(f"pipeline.readers.{name}")
    return reader


def extract_part(task: ExtractTask) -> Part:
    """Write the documents of one part, up to the limit of its configuration."""
    if task.raw is None:
        problem = f"{task.out / task.file_name} is gone, and so is the raw file that it came from"
        raise DataError(problem, f"delete {task.out} and fetch again")
    counts: Counter[str] = Counter()
    limit = task.config.limit
    documents = read_with(task.reader).read(task.raw, task.config, counts)
    with DocumentWriter(task.out / task.file_name) as writer:
        for document in documents:
            identity, title = (tidy(name, counts) for name in (document.id, document.title))
            writer.write(Document(identity, title, document.text))
            if limit is not None and writer.text_bytes >= limit:
                break
    files = {}
    if writer.documents:
        files[task.file_name] = record_file(task.out / task.file_name, writer.documents)
    sizes = {"documents": writer.documents, "text_bytes": writer.text_bytes}
    return Part(files, {**sizes, **counts})


def extract(
    out: Path,
    plan: Manifest,
    reader: str,
    batches: Iterable[Batch],
    config: FetchConfig,
    crew: Crew,
    total: int,
    done: Callable[[Batch, int], None],
) -> list[Part]:
    """Make the parts of all batches and return them in order.

    Args:
        out: Folder to write.
        plan: The stage's manifest without files.
        reader: Name of the reader.
        batches: Drawn when needed: the next one may still be on its way over the network. With
            a limit it is not drawn before all parts of the one before are made.
        config: How to read; the parts end with the document that reaches its limit.
        crew: Who makes them.
        total: Bytes of all raw files, as far as is known, for the progress bar.
        done: Called with each batch and its number of parts once these are on disk, unless the
            limit is reached within it.
    """
    ends: deque[tuple[int, Batch, int]] = deque()
    tasks = _tasks(out, reader, batches, config, crew.workers, ends)
    results = run_parts(out, plan, tasks, extract_part, crew)
    limit = config.limit
    parts: list[Part] = []
    size = 0
    with bar(total=limit or total, desc=f"read {out.name}", unit="B", unit_scale=True) as progress:
        for task, part in results:
            if limit and size + part.counts["text_bytes"] > limit:
                part = extract_part(replace(task, config=replace(config, limit=limit - size)))
            parts.append(part)
            size += part.counts["text_bytes"]
            progress.update(part.counts["text_bytes"] if limit else _input_bytes(task))
            if limit and size >= limit:
                results.close()
                return parts
            while ends and ends[0][0] <= task.number + 1:
                _, batch, count = ends.popleft()
                done(batch, count)
    for _, batch, count in ends:
        done(batch, count)
    return parts


def _input_bytes(task: ExtractTask) -> int:
    return task.raw.input_bytes if task.raw else 0


def _tasks(
    out: Path,
    reader: str,
    batches: Iterable[Batch],
    config: FetchConfig,
    workers: int,
    ends: deque[tuple[int, Batch, int]],
) -> Iterator[ExtractTask | None]:
    """Yield the tasks of all batches; note in `ends` where each batch ends."""
    number = 0
    for batch in batches:
        first = number
        for raw in _divide(reader, batch, config, workers):
            yield ExtractTask(number, reader, batch.fingerprint, raw, config, out)
            number += 1
        ends.append((number, batch, number - first))
        if config.limit is not None:
            yield None


def _divide(
    reader: str, batch: Batch, config: FetchConfig, workers: int
) -> Iterable[RawPart | None]:
    if batch.parts is not None:
        return [None] * batch.parts
    return read_with(reader).divide(batch.files, config, workers)
