"""Rows in the order of training: a window is read from the disk while the one before is used.

A window's blocks are read into a buffer by a thread, and a batch is gathered from there, one copy a
column. Blocks are read, not mapped, because of what a disk or another program may do meanwhile: a
read that fails is an error with a message, a mapped page that fails ends the process. It also maps
no pages, so what is resident is two windows, whatever the size of the shards: 22 MB for rows of 128
tokens with four mask sets, and at most 64 MB unless rows are of over 500 kB (`fitting_block`).

A shard that is written to meanwhile is known by its size and modification time, which are compared
before a window's rows are read from it and after. What escapes is for `verify` to find: a program
that sets the time back, or writes through pages that it has mapped (the time moves when the system
sees fit); on a network, a change that this machine has not heard of yet.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from shards.errors import DataError
from shards.format import Rows, concatenate, make_room
from shards.order import Order, Window, fitting_block
from shards.reader import Shard, ShardFolder

Piece = tuple[int, int, Rows]
"""Neighbouring rows of one shard: its number, the first row there, and the rows to be filled."""

Act = Callable[[FileIO, int, memoryview], None]
"""Done with a column of a piece: the file, where it is there, and the memory to fill."""


class ShuffledRows:
    """All rows of a split in shuffled order, epoch after epoch; a cursor says where.

    What is read is a function of (shards, seed, cursor) alone. It is meant for rising cursors: a
    jump to another window waits for the disk. One thread at a time may call it; another process
    gets its own by pickling, or by being forked.

    Args:
        shards: Where the rows are.
        seed: Of the order.

    Raises:
        DataError: There are no rows.
    """

    def __init__(self, shards: ShardFolder, seed: int) -> None:
        if not len(shards):
            problem = f"{shards.folder} has no rows of the {shards.split} split"
            raise DataError(problem, "run `python cli.py pack` on more text")
        self.shards = shards
        self.order = Order(len(shards), seed, fitting_block(shards.header.row_bytes))
        self._start()

    def _start(self) -> None:
        """Begin with empty buffers and a thread of this process: one that forks gets no threads."""
        self._process = os.getpid()
        # A single thread, so that what was begun before a jump is done before what comes after.
        self._thread = ThreadPoolExecutor(1, "read ahead")
        size = min(len(self.shards), self.order.window_rows)
        self._now, self._next = (make_room(self.shards.header, size) for _ in range(2))
        self._window: tuple[int, Window] | None = None
        self._ahead: tuple[int, Future[Window]] | None = None

    def __reduce__(self) -> tuple[type["ShuffledRows"], tuple[ShardFolder, int]]:
        """Return how another process makes the same."""
        return ShuffledRows, (self.shards, self.order.seed)

    def read(self, cursor: int, count: int) -> tuple[Rows, NDArray[np.int64]]:
        """Return the rows at positions `cursor` and on, and their epochs, each (count,).

        Raises:
            DataError: A shard has changed, is gone, or cannot be read.
        """
        if self._process != os.getpid():
            self._start()
        if not count:
            return make_room(self.shards.header, 0), np.empty(0, np.int64)
        parts, epochs = [], []
        while count > 0:
            number, place = self.order.find(cursor)
            window = self._load(number)
            index = window.order[place : place + count]
            columns = vars(self._now).items()
            parts.append(Rows(**{name: column.take(index, axis=0) for name, column in columns}))
            epochs.append(np.full(len(index), window.epoch, np.int64))
            cursor += len(index)
            count -= len(index)
        if len(parts) == 1:
            return parts[0], epochs[0]
        return concatenate(parts), np.concatenate(epochs)

    def _load(self, number: int) -> Window:
        """Make `_now` hold a window, and have the one after it read."""
        if self._window and self._window[0] == number:
            return self._window[1]
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != number:
            ahead = self._begin(number)
        window = ahead[1].result()
        self._window = None  # an interrupt may come before the buffers and this agree again
        self._now, self._next = self._next, self._now
        self._window = number, window
        self._ahead = self._begin(number + 1)
        return window

    def _begin(self, number: int) -> tuple[int, Future[Window]]:
        """Have a window read into `_next`."""
        found = self._thread.submit(_read_window, self.shards, self.order, number, self._next)
        return number, found


def _read_window(shards: ShardFolder, order: Order, number: int, out: Rows) -> Window:
    """Read the blocks of a window into `out`, one after another."""
    window = order.window(number)
    pieces = list(_pieces(shards, window, order.block_rows, out))
    for act in (_announce, _fill):
        for shard, group in groupby(pieces, key=itemgetter(0)):
            _visit(shards.found[shard], group, act)
    return window


def _pieces(shards: ShardFolder, window: Window, block_rows: int, out: Rows) -> Iterator[Piece]:
    """Yield the blocks of a window, cut where a shard ends."""
    ends, filled = shards.ends.tolist(), 0
    for block in window.blocks.tolist():
        row, stop = block * block_rows, min((block + 1) * block_rows, len(shards))
        while row < stop:
            number = bisect_right(ends, row)
            count = min(stop, ends[number]) - row
            first = row - (ends[number] - shards.found[number].count)
            yield number, first, out.take(slice(filled, filled + count))
            row += count
            filled += count


def _visit(shard: Shard, pieces: Iterable[Piece], act: Act) -> None:
    """Do something for each column of some pieces of one shard."""
    try:
        with shard.path.open("rb", buffering=0) as file:
            shard.check(os.fstat(file.fileno()))
            for _, first, rows in pieces:
                for name, start in shard.offsets.items():
                    column = vars(rows)[name]
                    act(file, start + first * column.strides[0], memoryview(column).cast("B"))
            shard.check(os.fstat(file.fileno()))  # what came before may have been read too late
    except (OSError, EOFError) as error:
        raise shard.error(f"cannot be read ({error})") from error


def _announce(file: FileIO, offset: int, values: memoryview) -> None:
    """Tell the system what is read next: a disk is faster when it knows of many places."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), offset, values.nbytes, os.POSIX_FADV_WILLNEED)


def _fill(file: FileIO, offset: int, values: memoryview) -> None:
    file.seek(offset)
    if (found := file.readinto(values)) != values.nbytes:
        raise EOFError(f"{found} bytes at {offset:,}, not {values.nbytes}")
