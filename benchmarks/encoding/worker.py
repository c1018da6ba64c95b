"""One encoder in a process of its own, as `pack` runs it: it reads a block, encodes it, drops it.

Its peak of memory is therefore a worker's, Python and the reading of Parquet included.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from benchmarks.encoding.text import Block, find_sources, read_blocks, size_of
from pipeline.encode import Encoder
from pipeline.workers import process_pool

WARM_PARAGRAPHS = 1100


@dataclass(frozen=True)
class Stream:
    """What a worker is to do.

    Attributes:
        tokenizer: As JSON.
        text: Folder of sources.
        sources: Names of those to read; none: all.
        limit: Bytes of text.
        memory: Bytes that the worker may take.
        marks: Bytes of text at which the clock is read, in order; the end of the text is one more.
    """

    tokenizer: str
    text: Path
    sources: tuple[str, ...]
    limit: int
    memory: int
    marks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Streamed:
    """What it has found.

    Attributes:
        path: "columnar", or "library" and why.
        load_seconds: What the tokenizer's rules take to learn, code to load (or to compile, the
            first time) included.
        points: Bytes of text, and seconds of encoding up to there, at each mark and at the end.
        peak_bytes: Of the whole process.
    """

    path: str
    load_seconds: float
    points: list[tuple[int, float]]
    peak_bytes: int


def run_alone(job: Stream) -> Streamed:
    """Do a job in a new process."""
    with process_pool(1) as executor:
        return executor.submit(stream, job).result()


def stream(job: Stream) -> Streamed:
    """Do a job in this process."""
    tokenizer = Tokenizer.from_str(job.tokenizer)
    tokenizer.encode_special_tokens = True
    sources = find_sources(job.text, job.sources)
    load_seconds = load(tokenizer, next(read_blocks(sources, 1)))
    encoder = Encoder(tokenizer, job.memory)
    points = at_marks(_encode(encoder, read_blocks(sources, job.limit)), job.marks)
    return Streamed(encoder.path, load_seconds, points, peak_bytes())


def load(tokenizer: Tokenizer, block: Block) -> float:
    """Return the seconds until an encoder is ready, its code loaded; it is then thrown away."""
    start = time.perf_counter()
    some = block[:WARM_PARAGRAPHS]
    Encoder(tokenizer).encode(some, [()] * len(some))
    return time.perf_counter() - start


def at_marks(
    blocks: Iterable[tuple[int, float]], marks: tuple[int, ...]
) -> list[tuple[int, float]]:
    """Sum bytes and seconds of blocks; return the sums when each mark is passed, and at the end."""
    size, seconds = 0, 0.0
    waiting = list(marks)
    points = []
    for more, taken in blocks:
        size, seconds = size + more, seconds + taken
        if waiting and size >= waiting[0]:
            points.append((size, seconds))
            waiting = [mark for mark in waiting if mark > size]
    if not points or points[-1][0] < size:
        points.append((size, seconds))
    return points


def _encode(encoder: Encoder, blocks: Iterable[Block]) -> Iterator[tuple[int, float]]:
    """Yield the bytes of each block and the seconds that it took."""
    for block in blocks:
        start = time.perf_counter()
        encoder.encode(block, [()] * len(block))
        yield size_of(block), time.perf_counter() - start


def peak_bytes() -> int:
    """Return the most memory that this process has held (Linux).

    `ru_maxrss` would not do: a new process inherits its parent's.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmHWM"].removesuffix("kB")) * 1024
