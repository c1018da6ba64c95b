"""`pack --dry-run`: rows, bytes and time, forecast from a sample that is really packed.

The sample is some row groups spread evenly over each source. They are packed in memory, nothing is
written, and what a byte of them gives is taken to hold for the whole source.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from math import ceil
from pathlib import Path

from pipeline.choose import SPLITS
from pipeline.config import PackConfig
from pipeline.disk import check_room
from pipeline.divide import divide
from pipeline.room import free_bytes
from pipeline.shard_task import ShardTask, rows_of
from pipeline.stage import check_is_own
from pipeline.tables import align, in_units

SAMPLE_GROUPS = 24
"""Row groups that are packed, about 1 MB of text each; every source has at least one of them."""
SAMPLE_SECONDS = 4.0
"""So long after the first no other row group is begun, once each source has had one."""
FILE_BYTES = 1500
"""What the schema and the footer add to the rows of a file."""
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, taken modulo 1, fill the interval evenly however many they are."""


@dataclass
class Source:
    """What is known of a source.

    Attributes:
        weight: How often it is packed.
        text_bytes: Its text.
        sample_bytes: That of its row groups that were packed.
        counts: Their balance sheet.
    """

    weight: float
    text_bytes: int = 0
    sample_bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def rows(self, length: int) -> float:
        """Return the rows of a length that all of it will give."""
        train, held_out = (self.counts[f"{length}/{split}_rows"] for split in SPLITS)
        sample = self.weight * train + held_out  # which is packed once, whatever the weight
        return sample * self.text_bytes / max(self.sample_bytes, 1)


@dataclass(frozen=True)
class Forecast:
    """What a run of `pack` would make.

    Attributes:
        sources: What is known of each source.
        shard_bytes: For each length the bytes of its shards.
        sample_seconds: What the forecast took.
        seconds: What the run takes, the disk's delays not counted.
        workers: Processes that will have work.
        out: Folder to write.
    """

    sources: dict[str, Source]
    shard_bytes: dict[int, float]
    sample_seconds: float
    seconds: float
    workers: int
    out: Path

    def rows(self, length: int) -> float:
        """Return the rows of a length."""
        return sum(source.rows(length) for source in self.sources.values())


def forecast(
    text: Path, tokenizer: Path, out: Path, config: PackConfig, workers: int, memory: int
) -> Forecast:
    """Return what `pack` of these arguments would make; nothing is written.

    Raises:
        DataError: The text or the tokenizer is missing or broken, or the shards would not fit.
    """
    begin = time.perf_counter()
    check_is_own(out)
    work = divide(text, tokenizer, out, config, memory)
    tasks = work.tasks()
    weights = dict(config.weights)
    sources = {source.name: Source(weights.get(source.name, 1.0)) for source in work.sources}
    for task in _once(tasks):
        sources[task.source].text_bytes += task.groups[0].text_bytes
    start_seconds, seconds_per_byte = _pack_samples(tasks, sources)
    workers = min(workers, len(tasks), os.cpu_count() or 1)
    text_bytes = sum(source.weight * source.text_bytes for source in sources.values())
    share = ceil(len(tasks) / workers) / len(tasks) if tasks else 0  # of the busiest worker
    files = len(tasks) * (2 if config.validation_fraction else 1)
    shard_bytes = {}
    for length in config.max_length:
        row_bytes = replace(work.common.header, max_length=length).row_bytes
        rows = sum(source.rows(length) for source in sources.values())
        shard_bytes[length] = rows * row_bytes + files * FILE_BYTES
    check_room(out, sum(shard_bytes.values()))
    return Forecast(
        sources=sources,
        shard_bytes=shard_bytes,
        sample_seconds=time.perf_counter() - begin,
        seconds=start_seconds + share * text_bytes * seconds_per_byte,
        workers=workers,
        out=out,
    )


def _once(tasks: list[ShardTask]) -> Iterator[ShardTask]:
    """Yield a task for each row group, which packs all of it once."""
    for task in tasks:
        if task.repetition == 0:
            yield from (replace(task, groups=(group,), share=1.0) for group in task.groups)


def _pack_samples(tasks: list[ShardTask], sources: dict[str, Source]) -> tuple[float, float]:
    """Pack the samples into `sources`; return a process's seconds to start, and then a byte's."""
    begin = time.perf_counter()
    times, sizes = [0.0], [0]
    for task in _samples(tasks):
        source = sources[task.source]
        if source.sample_bytes and times[-1] - times[min(1, len(times) - 1)] > SAMPLE_SECONDS:
            continue
        for (split, length), rows in rows_of(task, source.counts):
            source.counts[f"{length}/{split}_rows"] += len(rows)
        source.sample_bytes += task.groups[0].text_bytes
        times.append(time.perf_counter() - begin)
        sizes.append(task.groups[0].text_bytes)
    if len(times) < 3:
        return times[-1], 0.0
    # The first one pays for the start.
    seconds_per_byte = (times[-1] - times[1]) / sum(sizes[2:])
    return max(0.0, times[1] - sizes[1] * seconds_per_byte), seconds_per_byte


def _samples(tasks: list[ShardTask]) -> Iterator[ShardTask]:
    """Yield tasks of one row group each, of all sources in turn."""
    of_source: dict[str, list[ShardTask]] = {}
    for task in _once(tasks):
        of_source.setdefault(task.source, []).append(task)
    total = sum(map(len, of_source.values()))
    chosen = []
    for groups in of_source.values():
        count = ceil(SAMPLE_GROUPS * len(groups) / total)
        places = (int(number * GOLDEN % 1 * len(groups)) for number in range(3 * len(groups)))
        chosen.append([groups[place] for place in list(dict.fromkeys(places))[:count]])
    for turn in zip_longest(*chosen):
        yield from (task for task in turn if task is not None)


def describe_forecast(found: Forecast) -> str:
    """Return the forecast for a person to read."""
    lines = [("", *found.sources, "all")]
    sources = found.sources.values()
    sizes = [source.weight * source.text_bytes for source in sources]
    lines.append(("text to pack", *map(in_units, [*sizes, sum(sizes)])))
    for length in found.shard_bytes:
        rows = [source.rows(length) for source in sources]
        cells = (f"{number:,.0f}" for number in [*rows, sum(rows)])
        lines.append((f"rows of {length} tokens", *cells))
    sampled = in_units(sum(source.sample_bytes for source in sources))
    parts = ", ".join(
        f"{in_units(size)} of {length} tokens" for length, size in found.shard_bytes.items()
    )
    free = in_units(free_bytes(found.out))
    workers = "1 worker" if found.workers == 1 else f"{found.workers} workers"
    return "\n".join(
        [
            *align(lines),
            f"shards: {parts}; {free} are free on the disk of {found.out}",
            f"time: about {found.seconds:,.0f} s with {workers}, and some seconds to start each",
            f"forecast from {sampled} of the text, packed in {found.sample_seconds:.1f} s; "
            "nothing was written",
            "next: the same command without --dry-run",
        ]
    )
