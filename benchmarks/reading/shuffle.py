"""How well an epoch is shuffled, each figure beside that of a random order of all rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.reading.alone import BATCH
from shards.order import BLOCK_ROWS
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows


def quality(shards: ShardFolder, seed: int) -> dict[str, tuple[float, float]]:
    """Return by name what is found of an epoch, and of a random permutation."""
    document = np.concatenate([rows.document for rows in shards.shards()])
    shard = np.repeat(np.arange(len(shards.found)), [one.count for one in shards.found])
    index, _ = ShuffledRows(shards, seed).order.take(0, len(shards))
    chance = np.random.default_rng(seed).permutation(len(shards))
    found, expected = (dict(_figures(order, document, shard)) for order in (index, chance))
    return {name: (found[name], expected[name]) for name in found}


def _figures(
    order: NDArray[np.int64], document: NDArray[np.uint32], shard: NDArray[np.int64]
) -> Iterator[tuple[str, float]]:
    """Yield (what is measured, its value) for an order of rows."""
    count = len(order)
    yield "rank correlation of position and row", _correlation(np.arange(count), order)
    for lag in (1, BATCH):
        yield f"autocorrelation of the row, lag {lag}", _correlation(order[lag:], order[:-lag])
    near = np.abs(np.diff(order)) < BLOCK_ROWS
    yield "next row from within a block's length, in a million", 1e6 * near.mean()
    documents = document[order]
    by_document = np.argsort(documents, kind="stable")
    gaps = np.diff(by_document)[np.diff(documents[by_document]) == 0]
    yield "positions between rows of a document, median", float(np.median(gaps))
    yield f"of them under {BATCH}, in a million", 1e6 * (gaps < BATCH).mean()
    whole = count // BATCH * BATCH
    batches = shard[order[:whole]].reshape(-1, BATCH)
    shares = (batches == 0).mean(1)
    yield "rows of the first shard in a batch, standard deviation", float(shares.std() * BATCH)


def _correlation(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    return float(np.corrcoef(one, other)[0, 1])
