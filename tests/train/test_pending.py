"""The numbers of a step, as they come from the device."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.pending import Pending, read


@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_numbers_are_the_shortest_that_are_the_same_in_single_precision(values):
    pending = [Pending({}, {"loss": torch.tensor(one)}, None, None, 0.0, None) for one in values]
    found = [numbers["loss"] for _, numbers in read(pending)]
    assert np.array_equal(np.float32(found), np.float32(values), equal_nan=True)


def test_a_tenth_is_written_as_such():
    step = Pending({}, {"loss": torch.tensor(0.1)}, None, None, 0.0, None)
    assert [numbers for _, numbers in read([step])] == [{"loss": 0.1}]
