"""The order of rows: a function of (seed, epoch), in constant memory, with one integer as cursor.

Blocks of neighbouring rows are permuted over all shards, and rows are shuffled inside a window of
blocks: reads stay local, so a cold disk keeps up, and any position is found by division.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 256
WINDOW_BLOCKS = 64


@dataclass(frozen=True)
class Order:
    """An endless sequence of epochs over `rows` rows.

    The last, short block of an epoch stays last, so that a position maps to its window by division.
    """

    rows: int
    seed: int

    def take(self, cursor: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (row numbers, epochs), each (count,), for positions `cursor` and on."""
        indices, epochs = [], []
        while count > 0:
            epoch, position = divmod(cursor, self.rows)
            window, start = divmod(position, BLOCK_ROWS * WINDOW_BLOCKS)
            rows = _window(self.rows, self.seed, epoch, window)[start : start + count]
            indices.append(rows)
            epochs.append(np.full(len(rows), epoch, np.int64))
            cursor += len(rows)
            count -= len(rows)
        return np.concatenate(indices), np.concatenate(epochs)


@lru_cache(maxsize=2)
def _blocks(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the epoch's order of blocks; the last block stays last."""
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    blocks = -(-rows // BLOCK_ROWS)
    return np.append(generator.permutation(blocks - 1), blocks - 1).astype(np.int64)


@lru_cache(maxsize=2)
def _window(rows: int, seed: int, epoch: int, window: int) -> NDArray[np.int64]:
    """Return the row numbers of one window, shuffled."""
    blocks = _blocks(rows, seed, epoch)[window * WINDOW_BLOCKS : (window + 1) * WINDOW_BLOCKS]
    members = (blocks[:, None] * BLOCK_ROWS + np.arange(BLOCK_ROWS)).reshape(-1)
    members = members[members < rows]
    # Counter word 3 is out of reach of the draws that _blocks makes from the same key.
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, window, 1]))
    return generator.permutation(members)
