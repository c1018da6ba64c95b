"""The order of rows: a function of (seed, epoch), in constant memory, with one integer as cursor.

All shards together are divided into 64 parts, and a window has a block of neighbouring rows from a
random place of each part: the mix of the whole corpus, whatever the order of its sources. Rows are
shuffled inside a window. Reads stay local, so a cold disk keeps up, and any position is found by
division. Nothing but arithmetic decides the order, so every version of numpy gives the same. How
many rows a block has depends on their width, so that a window of wide rows takes no more memory.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 512
"""Neighbours that stay in one window; of 128 tokens they are 160 kB, in one piece a column."""
WINDOW_BLOCKS = 64
WINDOW_ROWS = BLOCK_ROWS * WINDOW_BLOCKS
WINDOW_BYTES = 32_000_000
"""What a window may take: rows of 976 bytes and more have smaller blocks."""
ROUNDS = 32
"""Rounds of swap-or-not. After r, all but 2^-r of a block's chance to stay is gone."""


@dataclass(frozen=True)
class Window:
    """What is read at a time.

    Attributes:
        epoch: The epoch that all its rows belong to.
        blocks: (b,) numbers of its blocks, rising: block i has rows from i * block_rows on.
        order: (n,) the order of its rows: which of the rows of `blocks`, counted in turn, is next.
    """

    epoch: int
    blocks: NDArray[np.int64]
    order: NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """An endless sequence of epochs over `rows` rows.

    The last, short block of an epoch stays last, so that a position maps to its window by division.

    Attributes:
        rows: How many there are.
        seed: Another one gives another order.
        block_rows: Rows of a block; as `fitting_block` says, where rows are read.
    """

    rows: int
    seed: int
    block_rows: int = BLOCK_ROWS

    def take(self, cursor: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (row numbers, epochs), each (count,), for positions `cursor` and on."""
        index, epochs = np.empty(count, np.int64), np.empty(count, np.int64)
        filled = 0
        while filled < count:
            number, place = self.find(cursor + filled)
            window = self.window(number)
            rows = (window.blocks[:, None] * self.block_rows + np.arange(self.block_rows)).ravel()
            chosen = window.order[place : place + count - filled]
            here = slice(filled, filled + len(chosen))
            index[here], epochs[here] = rows[chosen], window.epoch
            filled += len(chosen)
        return index, epochs

    def find(self, cursor: int) -> tuple[int, int]:
        """Return the number of the window, through all epochs, that has a position, and where."""
        epoch, position = divmod(cursor, self.rows)
        window, place = divmod(position, self.window_rows)
        return epoch * self._windows + window, place

    def window(self, number: int) -> Window:
        """Return a window by its number through all epochs."""
        epoch, number = divmod(number, self._windows)
        return _window(self.rows, self.seed, self.block_rows, epoch, number)

    @property
    def window_rows(self) -> int:
        """Return how many rows a window has; the last of an epoch may have fewer."""
        return self.block_rows * WINDOW_BLOCKS

    @property
    def _windows(self) -> int:
        """Return how many windows an epoch has."""
        return -(-self.rows // self.window_rows)


def fitting_block(row_bytes: int) -> int:
    """Return the rows of a block: BLOCK_ROWS, or as many as WINDOW_BYTES has room for, at least 1.

    A power of two, so that blocks of rows of about the same width are the same.
    """
    most = max(1, WINDOW_BYTES // (WINDOW_BLOCKS * row_bytes))
    return min(BLOCK_ROWS, 1 << most.bit_length() - 1)


def share(step: int, batch_size: int, process: int = 0, processes: int = 1) -> tuple[int, int]:
    """Return (cursor, count) of the rows that a process takes of a step's global batch.

    The slices of all processes, in their order, are the batch, whatever their number.
    """
    start, stop = (batch_size * which // processes for which in (process, process + 1))
    return step * batch_size + start, stop - start


@lru_cache(maxsize=2)
def _window(rows: int, seed: int, block_rows: int, epoch: int, number: int) -> Window:
    """Return a window of an epoch: a block of each of WINDOW_BLOCKS parts of all rows.

    Each part has an order of its own. The last block, which may be short, is in the last window.
    """
    epoch_key = _hash(np.array([seed], np.uint64), np.array([epoch], np.uint64))
    keys = _hash(epoch_key, np.arange(WINDOW_BLOCKS + 1, dtype=np.uint64))
    last = -(-rows // block_rows) - 1
    ends = np.arange(WINDOW_BLOCKS + 1) * last // WINDOW_BLOCKS
    sizes = np.diff(ends)
    goes_on = sizes > number
    sizes = sizes[goes_on]
    places = _permute(np.full(len(sizes), number), sizes, keys[:-1][goes_on])
    blocks = ends[:-1][goes_on] + places
    window_rows = block_rows * WINDOW_BLOCKS
    left = rows - number * window_rows
    if left <= window_rows:
        blocks = np.append(blocks, last)
    window_key = _hash(keys[-1:], np.array([number], np.uint64))
    return Window(epoch, blocks, _shuffled(min(left, window_rows), window_key))


def _shuffled(count: int, key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the numbers below `count` in the order of 32 random bits each, ties as they were.

    numpy sorts 16 bits by radix: twice that is twice as fast as 32 bits at once.
    """
    bits = _hash(key, np.arange(count, dtype=np.uint64)) >> np.uint64(32)
    low, high = bits.astype(np.uint16), (bits >> np.uint64(16)).astype(np.uint16)
    order = np.argsort(low, kind="stable")
    return order[np.argsort(high[order], kind="stable")]


def _permute(
    places: NDArray[np.int64], sizes: NDArray[np.int64], keys: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Return where the permutation of `sizes[i]` numbers by `keys[i]` sends `places[i]`.

    Swap-or-not (Hoang, Morris and Rogaway, "An enciphering scheme based on a card shuffle", CRYPTO
    2012): in each round a number is paired with another, and a bit of the pair swaps them.
    """
    draws = _hash(keys, np.arange(2 * ROUNDS, dtype=np.uint64)[:, None])
    pivots = (draws[::2] >> np.uint64(2)).astype(np.int64) % sizes
    for pivot, round_keys in zip(pivots, draws[1::2], strict=True):
        partner = (pivot - places) % sizes
        pair = np.maximum(places, partner).astype(np.uint64)
        is_swapped = _hash(round_keys, pair) >> np.uint64(63) == 1
        places = np.where(is_swapped, partner, places)
    return places


def _hash(keys: NDArray[np.uint64], number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64 random bits for each (key, number).

    The `number`-th output of SplitMix64 from state `key` (Steele, Lea and Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014; https://prng.di.unimi.it/splitmix64.c).
    """
    bits = (number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + keys
    bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return bits ^ bits >> np.uint64(31)
