"""What knowing nothing but how frequent each token is would give, on the rows that are scored."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shards.format import Rows, ShardHeader, unpack_masks
from shards.reader import ShardFolder

MAX_ROWS = 1024
"""Held-out rows scored: enough to tell .02 of accuracy apart, few enough to take seconds."""
BASELINE_ROWS = 100_000
"""Training rows that frequencies are counted on."""


class Guessing(NamedTuple):
    """Guessing by frequency: the mean loss in nats, and the accuracy of the most frequent token."""

    loss: float
    accuracy: float


def guess_by_frequency(train: ShardFolder, validation: ShardFolder) -> Guessing:
    """Return what guessing tokens by their frequency in the training rows would give.

    Frequencies are counted with one added to each; tokens are those that `train.evaluate` has
    predicted: of mask set 0, or, of a stream, all but a row's first.
    """
    header = train.header
    counts = np.ones(header.vocab_size)
    for index in np.array_split(spread(len(train), BASELINE_ROWS), 32):
        rows = train.gather(index)
        counts += np.bincount(_content(rows, header), minlength=header.vocab_size)
    rows = validation.gather(spread(len(validation), MAX_ROWS))
    targets = rows.input_ids[_predicted(rows, header)]
    loss = -np.log(counts[targets] / counts.sum()).mean()
    return Guessing(float(loss), float((targets == counts.argmax()).mean()))


def guess_in(shards: Path, max_length: int) -> Guessing | None:
    """Return it for the rows of a length; None: no row of them is held out."""
    train, validation = (
        ShardFolder(shards, split, max_length) for split in ("train", "validation")
    )
    return guess_by_frequency(train, validation) if len(validation) else None


def spread(rows: int, most: int) -> NDArray[np.int64]:
    """Return up to `most` row numbers spread evenly over all, and so over all sources."""
    return np.linspace(0, rows - 1, min(rows, most)).astype(np.int64)


def _predicted(rows: Rows, header: ShardHeader) -> NDArray[np.bool_]:
    """Return which tokens are predicted (B, T)."""
    if header.mask_sets:
        return unpack_masks(rows.mask_set(np.zeros(len(rows), np.int64), header), header.max_length)
    position = np.arange(header.max_length)
    return (position > 0) & (position < rows.length[:, None])


def _content(rows: Rows, header: ShardHeader) -> NDArray[Any]:
    """Return the tokens that may be predicted."""
    if not header.mask_sets:
        return rows.input_ids[_predicted(rows, header)]
    structural = [header.pad_token_id, header.cls_token_id, header.sep_token_id]
    flat = rows.input_ids.reshape(-1)
    return flat[~np.isin(flat, structural)]
