"""What the tests of the shuffled reader share."""

from pathlib import Path

import numpy as np

from shards.format import Rows
from shards.order import WINDOW_ROWS
from shards.shuffled import ShuffledRows

SIZES = (WINDOW_ROWS, 700, 1, 2, 40_000)
TOTAL = sum(SIZES)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("train/12/*.arrow"))


def assert_equal(found: Rows, expected: Rows) -> None:
    for name, column in vars(expected).items():
        assert np.array_equal(vars(found)[name], column), name
        assert vars(found)[name].dtype == column.dtype


def read_on(shuffled: ShuffledRows) -> None:
    for cursor in range(0, 2 * TOTAL, 5000):
        shuffled.read(cursor, 5000)
