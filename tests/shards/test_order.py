import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.order import (
    BLOCK_ROWS,
    WINDOW_BLOCKS,
    WINDOW_BYTES,
    WINDOW_ROWS,
    Order,
    _permute,
    fitting_block,
    share,
)

EDGE = WINDOW_ROWS
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


@pytest.mark.parametrize("block_rows", [1, 4, 256])
def test_every_row_comes_once_an_epoch_whatever_a_block_has(block_rows: int):
    for rows in (1, 63, 64 * block_rows, 64 * block_rows + 1, 40_000):
        index, epochs = Order(rows, 2, block_rows).take(rows, rows)
        assert np.array_equal(np.sort(index), np.arange(rows))
        assert np.array_equal(epochs, np.ones(rows))


@given(st.integers(1, 10**6))
def test_a_window_takes_no_more_however_wide_its_rows(row_bytes: int):
    rows = fitting_block(row_bytes)
    assert 1 <= rows <= BLOCK_ROWS
    assert rows == 1 or rows * WINDOW_BLOCKS * row_bytes <= WINDOW_BYTES
    assert rows == BLOCK_ROWS or 2 * rows * WINDOW_BLOCKS * row_bytes > WINDOW_BYTES


def test_a_block_has_512_rows_of_the_usual_widths():
    """329 bytes are 128 tokens with four mask sets, 976 the widest."""
    assert [fitting_block(row_bytes) for row_bytes in (329, 976, 977)] == [512, 512, 256]


def test_no_rows_are_taken_where_none_are_asked_for():
    index, epochs = Order(10, 0).take(*share(5, 3, 0, 4))
    assert (len(index), len(epochs)) == (0, 0)
    assert index.dtype == epochs.dtype == np.int64


@given(st.integers(0, 10**6), st.integers(1, 5000), st.integers(1, 4))
def test_the_shares_of_all_processes_are_the_batch(step: int, batch_size: int, processes: int):
    cursor = step * batch_size
    for process in range(processes):
        start, count = share(step, batch_size, process, processes)
        assert start == cursor
        assert abs(count - batch_size / processes) < 1
        cursor += count
    assert cursor == (step + 1) * batch_size


@settings(max_examples=40)
@given(st.integers(1, 10**12), SEEDS, st.integers(0, 10**15))
def test_any_position_is_found_at_once(rows: int, seed: int, cursor: int):
    index, epochs = Order(rows, seed).take(cursor, 10)
    epoch, position = divmod(cursor, rows)
    assert epochs[0] == epoch
    same = epochs == epoch
    assert same.sum() == min(10, rows - position)
    assert len(np.unique(index[same])) == same.sum()
    assert index.min() >= 0
    assert index.max() < rows


def test_a_billion_rows_take_no_more_memory_than_a_million():
    peaks = []
    for rows in (10**6, 10**9):
        order = Order(rows, 5)
        order.take(0, 1)
        tracemalloc.start()
        for window in range(3, 9):
            order.take(window * EDGE * (rows // 10**6) - 1000, 2000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 4 * 2**20
    assert peaks[1] == pytest.approx(peaks[0], rel=0.1)


@pytest.mark.parametrize(("blocks", "bound"), [(2, 15.1), (3, 25.7), (4, 58.6)])
def test_every_order_of_few_blocks_is_as_likely(blocks: int, bound: float):
    """Chi-squared over 2,000 keys stays below its .9999 quantile."""
    orders: Counter[tuple[int, ...]] = Counter()
    for key in range(2000):
        keys = np.full(blocks, key, np.uint64)
        orders[tuple(_permute(np.arange(blocks), np.full(blocks, blocks), keys).tolist())] += 1
    expected = 2000 / math.factorial(blocks)
    assert len(orders) == math.factorial(blocks)
    assert sum((count - expected) ** 2 / expected for count in orders.values()) < bound


@settings(max_examples=40)
@given(st.integers(0, 10**9), SEEDS, st.integers(0, 10**6))
def test_every_window_has_the_mix_of_all_rows(rows: int, seed: int, window: int):
    """Whatever share of the rows comes first, such a share of a window comes from there."""
    rows += 20 * EDGE
    window %= rows // EDGE - 1
    blocks = Order(rows, seed).window(window).blocks
    assert len(blocks) == WINDOW_BLOCKS
    share_before = blocks * BLOCK_ROWS / rows
    expected = (np.arange(WINDOW_BLOCKS) + 0.5) / WINDOW_BLOCKS
    assert np.abs(share_before - expected).max() < 1.1 / WINDOW_BLOCKS


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
    assert Order(1000, 7).take(0, 8)[0].tolist() == [368, 116, 541, 326, 991, 211, 761, 653]
    assert Order(10**9, 7).take(3 * 10**9 - 5, 8)[0].tolist() == [
        720556215,
        268633160,
        701500132,
        47856801,
        496044236,
        840291964,
        704340760,
        586454136,
    ]


def test_blocks_of_all_shards_are_mixed():
    """Rank correlation of position and row: sigma is below that of 400 blocks, 0.05."""
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
    assert np.quantile(distance, 0.01) > 0.004 * EDGE  # 0.005 in a random order


def test_neighbours_in_the_order_are_uncorrelated():
    """Within a window: rows correlate below 0.028 (5 sigma of 32,768 pairs)."""
    index, _ = Order(EDGE, 3).take(0, EDGE)
    for lag in (1, 2, 7, 128):
        assert abs(np.corrcoef(index[lag:], index[:-lag])[0, 1]) < 0.028
