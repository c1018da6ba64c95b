"""Shuffled batches from shards, against Hugging Face `datasets` on the same files.

`datasets` reads its own copy of the shards in torch format, in two ways: `Dataset.shuffle`, any
order of all rows, and `IterableDataset.shuffle`, pieces of the file and a buffer. Ours are blocks
and windows, between the two. A third side is a plain gather, `matrix[index]` for every column, from
matrices that lie in memory. All give batches of 128 rows with the same columns; the batches of the
first two are tensors: theirs are int64, ours of the types that are stored, and int64 as a side of
its own. Rates are medians of rounds in which all sides take turns, and a ratio is of two of these
medians. Everyone's first batch is drawn before the clock starts, warm and cold.
"""

import json
import os
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from benchmarks.reading.alone import BATCH, Epoch, read_epoch, run_alone
from benchmarks.reading.disk import disk_rates, evict, limited_memory
from benchmarks.reading.peers import (
    Peers,
    check_equal,
    cold_rates,
    in_memory,
    ours,
    rate,
)
from benchmarks.reading.rows import write_rows
from benchmarks.reading.shuffle import quality
from pipeline.flags import Size
from pipeline.tables import align
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows

ROUNDS, EPOCHS = 7, 3
BATCHES = {
    "hearth": 4000,
    "hearth, int64": 1000,
    "plain gather": 2000,
    "shuffle": 100,
    "stream": 400,
}
"""Batches of a side in a round: a fraction of a second each."""
COLD_BATCHES = 400
CHECKED = 20
LEAST_LIMIT = 200_000_000
"""Bytes that Python, its libraries and two windows have room in."""

Rates = dict[str, list[float]]


@click.command()
@click.option("--size", type=Size(), default="2GB", show_default=True, help="of the rows written")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    help="on the disk to measure; twice the size and more for a while",
)
def main(size: int, folder: Path) -> None:
    """Print what each side does, warm and cold; the last line is JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        paths = write_rows(place / "shards", size)
        bench = _Bench(place, paths)
        print(f"{bench.size / 1e9:.2f} GB of rows in {len(paths)} shards; load {_load()}")
        peers = Peers(paths, place / "cache")
        bench.check(peers)
        cold = bench.cold()
        # The first one brings back into memory what was evicted.
        warm = [run_alone(read_epoch, bench.shards, None) for _ in range(1 + EPOCHS)][1:]
        _print_epoch("warm", warm[-1])
        figures = bench.warm(peers)
        _print_quality(place / "shards")
        print(f"load {_load()}")
        result = {
            "benchmark": "read",
            **figures,
            "anon_mb_growth": round(max(epoch.growth_mb for epoch in warm), 2),
            "first_batch_ms": round(median(epoch.first_ms for epoch in warm), 1),
            "open_ms_per_shard": round(median(epoch.open_ms for epoch in warm) / len(paths), 2),
            **cold,
        }
        print("\n" + json.dumps(result))


class _Bench:
    """Measurements of one folder of shards.

    Args:
        place: Has `shards` and the `cache` of the peers.
        paths: Of the shards.
    """

    def __init__(self, place: Path, paths: list[Path]) -> None:
        self.shards, self.cache, self.paths = place / "shards", place / "cache", paths
        self.size = sum(path.stat().st_size for path in paths)

    def check(self, peers: Peers) -> None:
        """Compare batches from all over the first two epochs."""
        rows = ShuffledRows(ShardFolder(self.shards, "train"), seed=0)
        for cursor in np.linspace(0, 2 * len(rows.shards), CHECKED).astype(int).tolist():
            index, _ = rows.order.take(cursor, BATCH)
            check_equal(rows.read(cursor, BATCH)[0], peers.take(index))
        print(f"{CHECKED} batches are equal to those of `datasets`")

    def cold(self) -> dict[str, Any]:
        """Read from the disk: epochs of ours in little memory, and some batches of theirs."""
        one_file, pieces = disk_rates(self.paths)
        print(f"disk: {one_file:,.0f} MB/s of a file, {pieces:,.0f} MB/s of pieces of 128 KiB")
        limit = self.size // 8 if self.size // 8 > LEAST_LIMIT else None
        epochs, theirs = [], []
        for number in range(EPOCHS):
            with limited_memory(limit) if limit else nullcontext() as group:
                held = evict(self.paths)
                epochs.append(run_alone(read_epoch, self.shards, group))
            theirs.append(run_alone(cold_rates, self.paths, self.cache, number, COLD_BATCHES))
        limit_mb = round(limit / 1e6) if limit and group else None
        how = f"in a memory cgroup of {limit_mb} MB" if limit_mb else "without a limit"
        _print_epoch(f"cold ({held:.0%} of the pages were in memory), {how}", epochs[-1])
        own = median(epoch.rows_per_s for epoch in epochs)
        shuffled, streamed = (median(side) for side in zip(*theirs, strict=True))
        print(f"cold: `datasets` {shuffled:,.0f} rows/s shuffled, {streamed:,.0f} streamed")
        return {
            "cold_rows_per_s": round(own),
            "cold_slowest_rows_per_s": round(min(epoch.slowest_rows_per_s for epoch in epochs)),
            "cold_first_batch_ms": round(median(epoch.first_ms for epoch in epochs), 1),
            "cold_ratio": round(own / shuffled, 1),
            "cold_ratio_streamed": round(own / streamed, 1),
            "memory_limit_mb": limit_mb,
            "disk_mb_per_s": round(one_file),
            "disk_pieces_mb_per_s": round(pieces),
        }

    def warm(self, peers: Peers) -> dict[str, Any]:
        """Read from memory, all sides in turn."""
        shards = ShardFolder(self.shards, "train")
        rows = ShuffledRows(shards, seed=0)
        plain = in_memory(shards, seed=0)
        rates: Rates = {side: [] for side in BATCHES}
        busy: Rates = {side: [] for side in BATCHES}
        for number in range(ROUNDS):
            sides = {
                "hearth": ours(rows, number * BATCH * BATCHES["hearth"]),
                "hearth, int64": ours(rows, number * BATCH * BATCHES["hearth"], as_int64=True),
                "plain gather": plain,
                "shuffle": peers.shuffled(number),
                "stream": peers.streamed(number),
            }
            for side, batches in sides.items():
                found, cores = rate(batches, BATCHES[side])
                rates[side].append(found)
                busy[side].append(cores)
        _print_rates(rates, busy)
        return ratios(rates)


def ratios(rates: Rates) -> dict[str, Any]:
    """Return our median rate, and what it is of theirs in the same rounds."""
    middle = {side: median(values) for side, values in rates.items()}
    own = middle["hearth"]
    return {
        "ratio": round(own / middle["shuffle"], 1),
        "ratio_streamed": round(own / middle["stream"], 1),
        "ratio_int64": round(middle["hearth, int64"] / middle["shuffle"], 1),
        "rows_per_s": round(own),
        "of_gather_rate": round(own / middle["plain gather"], 2),
    }


def _print_rates(rates: Rates, busy: Rates) -> None:
    lines = [("side", "rows/s", "from", "to", "cores")]
    for side, values in rates.items():
        low, middle, high = (f"{of(values):,.0f}" for of in (min, median, max))
        lines.append((side, middle, low, high, f"{median(busy[side]):.1f}"))
    print("\n".join(align(lines)))


def _print_epoch(how: str, epoch: Epoch) -> None:
    print(
        f"{how}: opened in {epoch.open_ms:.1f} ms, first batch after {epoch.first_ms:.1f}; then "
        f"{epoch.rows_per_s:,.0f} rows/s, the slowest window {epoch.slowest_rows_per_s:,.0f}; "
        f"anonymous memory {epoch.anonymous_mb:.0f} MB, growth {epoch.growth_mb:+.2f} MB"
    )


def _print_quality(folder: Path) -> None:
    found = quality(ShardFolder(folder, "train"), seed=0)
    lines = [("shuffling", "ours", "random order")]
    lines += [(name, f"{ours:.4g}", f"{chance:.4g}") for name, (ours, chance) in found.items()]
    print("\n".join(align(lines)))


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
