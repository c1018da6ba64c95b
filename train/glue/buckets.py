"""Batches of rows of like length, so that little is padded.

As in `transformers` (`get_length_grouped_indices`, trainer_pt_utils.py) a random order is cut into
windows, whose rows are sorted; the batches are then shuffled, so that lengths come in no order.
"""

import numpy as np
from numpy.typing import NDArray

WINDOW = 50
"""Batches whose rows are sorted together; a small task is cut into four windows, so that it is not
always the same rows that meet (both as in `transformers`)."""
LEAST_WINDOWS = 4


def training_batches(
    lengths: NDArray[np.int64], batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the batches of one epoch, each row in one of them.

    Args:
        lengths: (N,) tokens of each row.
        batch_size: Rows of every batch but one, which has the rest.
        seed: Together with `epoch` it decides the order.
        epoch: Counted from 0.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(lengths))
    window = min(WINDOW, max(1, len(lengths) // (batch_size * LEAST_WINDOWS))) * batch_size
    batches = []
    for begin in range(0, len(order), window):
        rows = order[begin : begin + window]
        batches += _cut(rows[_longest_first(lengths[rows])], batch_size)
    return [batches[index] for index in generator.permutation(len(batches))]


def sorted_batches(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Return batches of all rows, the longest first: what does not fit into memory fails at once.

    Args:
        lengths: (N,) tokens of each row.
        batch_size: Rows of every batch but the last.
    """
    return _cut(_longest_first(lengths), batch_size)


def _longest_first(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.argsort(-lengths, kind="stable")


def _cut(rows: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    return [rows[begin : begin + batch_size] for begin in range(0, len(rows), batch_size)]
