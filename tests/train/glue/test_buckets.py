"""Every row once an epoch, beside rows of like length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.glue.buckets import sorted_batches, training_batches

LENGTHS = st.lists(st.integers(3, 40), min_size=1, max_size=300).map(np.array)


@given(lengths=LENGTHS, batch_size=st.integers(1, 40), seed=st.integers(0, 9))
def test_every_row_is_in_one_batch(lengths, batch_size, seed):
    for batches in (training_batches(lengths, batch_size, seed, 0), sorted_batches(lengths, 7)):
        assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    sizes = [len(batch) for batch in training_batches(lengths, batch_size, seed, 0)]
    assert len(sizes) == -(-len(lengths) // batch_size)
    assert sorted(sizes)[1:] == [batch_size] * (len(sizes) - 1)


def test_little_is_padded():
    lengths = np.random.default_rng(0).integers(5, 129, 20_000)
    padded = sum(len(rows) * lengths[rows].max() for rows in training_batches(lengths, 32, 0, 0))
    assert padded < 1.05 * lengths.sum()


def test_an_order_is_decided_by_seed_and_epoch():
    lengths = np.arange(200) % 17

    def order(seed, epoch):
        return np.concatenate(training_batches(lengths, 8, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_batches_come_in_no_order_of_length():
    lengths = np.random.default_rng(0).integers(5, 129, 6_400)
    means = [lengths[rows].mean() for rows in training_batches(lengths, 32, 0, 0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


def test_rows_of_a_small_task_meet_others_in_every_epoch():
    lengths = np.arange(160)
    batches = [training_batches(lengths, 32, 0, epoch) for epoch in range(2)]
    first, second = [{frozenset(rows.tolist()) for rows in one} for one in batches]
    assert not first & second


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_the_longest_rows_are_predicted_first(batch_size):
    lengths = np.random.default_rng(0).integers(5, 129, 50)
    order = np.concatenate(sorted_batches(lengths, batch_size))
    assert (np.diff(lengths[order]) <= 0).all()
