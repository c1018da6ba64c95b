import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.order import BLOCK_ROWS, WINDOW_BLOCKS, Order

EDGE = BLOCK_ROWS * WINDOW_BLOCKS
ROWS = st.integers(1, 600) | st.integers(1, 100_000) | st.integers(EDGE - 2, EDGE + 2)
SEEDS = st.integers(0, (1 << 63) - 1)


@settings(max_examples=40)
@given(ROWS, SEEDS, st.integers(0, 5))
def test_every_epoch_is_a_permutation_of_all_rows(rows: int, seed: int, epoch: int):
    index, epochs = Order(rows, seed).take(epoch * rows, rows)
    assert np.array_equal(np.sort(index), np.arange(rows))
    assert np.array_equal(epochs, np.full(rows, epoch))


@settings(max_examples=40)
@given(ROWS, SEEDS, st.integers(0, 200_000), st.lists(st.integers(1, 3000), max_size=5))
def test_what_is_taken_does_not_depend_on_how_it_is_divided(rows, seed, cursor, counts):
    order = Order(rows, seed)
    counts = [count % (3 * rows) + 1 for count in counts] or [1]
    places = cursor + np.cumsum([0, *counts])
    pieces = [order.take(int(at), count) for at, count in zip(places, counts, strict=False)]
    whole = order.take(cursor, sum(counts))
    for column in (0, 1):
        assert np.array_equal(np.concatenate([piece[column] for piece in pieces]), whole[column])


def test_a_batch_may_span_epochs():
    order = Order(10, 0)
    index, epochs = order.take(7, 16)
    assert epochs.tolist() == [0] * 3 + [1] * 10 + [2] * 3
    assert sorted(index[3:13]) == list(range(10))


def test_the_order_depends_on_seed_and_epoch():
    first, second = Order(5000, 1), Order(5000, 2)
    orders = [first.take(0, 5000)[0], first.take(5000, 5000)[0], second.take(0, 5000)[0]]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(orders[one], orders[other])[0, 1]) < 0.06  # 4 sigma = 0.057


def test_the_order_is_the_same_in_every_version():
    index, _ = Order(1000, 7).take(0, 1000)
    assert index[:8].tolist() == [121, 290, 832, 254, 125, 528, 855, 278]


def test_blocks_of_all_shards_are_mixed():
    """Rank correlation of position and row: blocks are 1/400 of the rows, 3 sigma = 0.15."""
    rows = 400 * BLOCK_ROWS
    index, _ = Order(rows, 3).take(0, rows)
    assert abs(np.corrcoef(np.arange(rows), index)[0, 1]) < 0.15


def test_neighbouring_rows_are_far_apart_in_the_order():
    """Two rows of one block are a third of a window apart in the mean, as in a random order."""
    rows = 2 * EDGE
    index, _ = Order(rows, 3).take(0, rows)
    place = np.empty(rows, np.int64)
    place[index] = np.arange(rows)
    same_block = np.arange(rows - 1) % BLOCK_ROWS != BLOCK_ROWS - 1
    distance = np.abs(np.diff(place))[same_block]
    assert distance.mean() == pytest.approx(EDGE / 3, rel=0.03)
    assert (distance == 1).mean() < 1e-3


def test_neighbours_in_the_order_are_uncorrelated():
    """Within a window: successive rows correlate below 0.04 (5 sigma of 16,384 pairs)."""
    index, _ = Order(EDGE, 3).take(0, EDGE)
    assert abs(np.corrcoef(index[1:], index[:-1])[0, 1]) < 0.04
