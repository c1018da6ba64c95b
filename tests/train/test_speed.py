import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.speed import FEWEST_BURSTS, MOST_BURSTS, MUCH, fastest, peak_rate, utilisation

SECONDS = st.floats(1e-6, 1e3)


@given(st.lists(SECONDS, min_size=MOST_BURSTS, max_size=MOST_BURSTS))
def test_the_best_of_some_bursts_counts_and_of_more_where_they_differ(seconds):
    left = iter(seconds)
    best = fastest(lambda: next(left))
    count = MOST_BURSTS - len(list(left))
    assert best == min(seconds[:count])
    first = seconds[:FEWEST_BURSTS]
    assert (count == FEWEST_BURSTS) == (max(first) <= MUCH * min(first))
    assert count in (FEWEST_BURSTS, MOST_BURSTS)


@given(SECONDS, SECONDS)
def test_a_share_is_of_all_or_not_told(rate, peak):
    share = utilisation(rate, peak)
    if rate > peak:
        assert share is None
    else:
        assert 0 <= share <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_peak_is_measured_without_a_draw(dtype):
    before = torch.get_rng_state()
    assert 1e8 < peak_rate(torch.device("cpu"), dtype) < 1e15
    assert torch.equal(torch.get_rng_state(), before)
