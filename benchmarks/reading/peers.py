"""The other sides: Hugging Face `datasets` on the same files, and numpy on matrices in memory."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.reading.alone import BATCH
from benchmarks.reading.disk import evict
from shards.format import Rows
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows

SHUFFLE_BUFFER = 10_000
STREAM_SHARDS = 64
Batches = Iterator[Iterable[Any]]


class Peers:
    """`datasets` over the shards, read into its cache as its documentation says.

    Args:
        paths: Of the shards.
        cache: Folder of its own copy.
    """

    def __init__(self, paths: Sequence[Path], cache: Path) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            datasets = import_module("datasets")
        except ModuleNotFoundError as error:
            raise SystemExit(f'{error}: pip install -e ".[bench]"') from error
        datasets.disable_progress_bars()
        files = [str(path) for path in paths]
        self.dataset: Any = datasets.load_dataset(
            "arrow", data_files=files, split="train", cache_dir=str(cache)
        )

    def take(self, index: NDArray[np.int64]) -> dict[str, torch.Tensor]:
        """Return the rows at `index`, int64 tensors by column."""
        found: dict[str, torch.Tensor] = self.dataset.with_format("torch")[index.tolist()]
        return found

    def shuffled(self, seed: int) -> Batches:
        """Yield batches of all rows in random order: `Dataset.shuffle`."""
        rows = self.dataset.shuffle(seed=seed).with_format("torch")
        return (batch.values() for batch in rows.iter(BATCH))

    def streamed(self, seed: int) -> Batches:
        """Yield batches in the order of `IterableDataset.shuffle`: pieces, and a buffer of rows."""
        stream = self.dataset.to_iterable_dataset(num_shards=STREAM_SHARDS)
        rows = stream.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER).with_format("torch")
        return (batch.values() for batch in rows.iter(BATCH))


def ours(rows: ShuffledRows, cursor: int, *, as_int64: bool = False) -> Batches:
    """Yield our batches as tensors, for ever; of the types that are stored, or as theirs are."""
    while True:
        found, _ = rows.read(cursor, BATCH)
        columns = (torch.from_numpy(column) for column in vars(found).values())
        yield [column.long() if as_int64 else column for column in columns]
        cursor += BATCH


def in_memory(shards: ShardFolder, seed: int) -> Batches:
    """Yield what a plain gather gives: each column one matrix in memory, all rows permuted."""
    every = list(shards.shards())
    names = vars(every[0])
    matrices = [np.concatenate([vars(rows)[name] for rows in every]) for name in names]
    order = np.random.default_rng(seed).permutation(len(shards))
    while True:
        for start in range(0, len(order) - BATCH + 1, BATCH):
            index = order[start : start + BATCH]
            yield [matrix[index] for matrix in matrices]


def check_equal(rows: Rows, theirs: dict[str, torch.Tensor]) -> None:
    """Stop unless both sides have the same columns with the same values.

    Raises:
        SystemExit: They differ.
    """
    if vars(rows).keys() != theirs.keys():
        raise SystemExit(f"columns {list(theirs)} are not {list(vars(rows))}")
    for name, column in vars(rows).items():
        if not np.array_equal(column.astype(np.int64), theirs[name].numpy()):
            raise SystemExit(f"{name} differs from that of `datasets`")


def rate(batches: Batches, count: int) -> tuple[float, float]:
    """Return rows a second of at most `count` batches after the next one, and the cores in use.

    The next one comes before the clock starts: whoever fills a buffer first has filled it then.
    """
    next(batches)
    begun, worked, rows = time.perf_counter(), time.process_time(), 0
    for batch in islice(batches, count):
        rows += len(next(iter(batch)))
    seconds = time.perf_counter() - begun
    return rows / seconds, (time.process_time() - worked) / seconds


def cold_rates(paths: Sequence[Path], cache: Path, seed: int, count: int) -> tuple[float, float]:
    """Return rows a second of `shuffled` and of `streamed` from a disk that has all to read.

    All is evicted, then the first batch is drawn, and the clock starts: as `read_epoch` does it.
    """
    peers = Peers(paths, cache)
    copy = [Path(file["filename"]) for file in peers.dataset.cache_files]
    rates = []
    for side in (peers.shuffled, peers.streamed):
        batches = side(seed)
        evict(copy)
        rates.append(rate(batches, count)[0])
    return rates[0], rates[1]
