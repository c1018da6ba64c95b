"""The order of rows in files."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.choose import SPLITS
from pipeline.held_rows import HeldRows
from shards.format import NO_LABEL, Rows, ShardHeader
from shards.reader import open_shard

COUNT = 2000
LENGTHS = (16, 24)


def numbered(header: ShardHeader, length: int) -> Rows:
    """Return rows of no token, their numbers for documents."""
    return Rows(
        input_ids=np.zeros((COUNT, length), np.uint16),
        length=np.zeros(COUNT, np.uint16),
        second_start=np.zeros(COUNT, np.uint16),
        sentence_order_label=np.full(COUNT, NO_LABEL, np.uint8),
        masks=np.empty((COUNT, 0), np.uint8),
        document=np.arange(COUNT, dtype=np.uint32),
    )


@pytest.fixture(scope="module")
def orders(tmp_path_factory, make_header) -> dict[str, np.ndarray]:
    """The order of equal rows in each file of two seeds and two shards."""
    folder = tmp_path_factory.mktemp("held")
    header, found = make_header(layout="stream", mask_sets=0), {}
    for seed, shard in ((0, 0), (1, 0), (0, 1)):
        held = HeldRows(folder / f"{seed}-{shard}", "part", header, (seed, shard))
        for split in SPLITS:
            for length in LENGTHS:
                held.add((split, length), numbered(header, length))
        held.write_all()
    for path in sorted(Path(folder).rglob("*.arrow")):
        found[str(path.relative_to(folder))] = open_shard(path)[1].document.copy()
    return found


def test_every_row_is_written_once(orders):
    assert len(orders) == 12
    for order in orders.values():
        assert sorted(order.tolist()) == list(range(COUNT))


def test_rows_lie_in_a_random_order(orders):
    """Their correlation with the order in which they came has a sigma of 1 / sqrt(COUNT)."""
    for order in orders.values():
        assert abs(stats.spearmanr(np.arange(COUNT), order).statistic) < 3.5 / np.sqrt(COUNT)
        together = (np.abs(np.diff(order.astype(int))) == 1).sum()  # about two in a random order
        assert together < 12


def test_each_file_has_an_order_of_its_own(orders):
    """By split, length, shard and seed: equal places are one by chance."""
    names = sorted(orders)
    for number, one in enumerate(names):
        for other in names[:number]:
            assert (orders[one] == orders[other]).sum() < 8, (one, other)
