import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.draws import document_keys, draw, draw_below, draw_unit

DRAWS = 100_000


def stream(seed: int) -> np.ndarray:
    return np.array([seed], np.uint64)


def test_the_generator_is_splitmix64():
    """The reference sequence of seed 1234567, as published with the C implementation."""
    one = stream(1234567)
    assert [int(draw(one)) for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_stream_goes_on_where_it_was():
    whole, first = stream(7), stream(7)
    expected = [int(draw(whole)) for _ in range(6)]
    assert [int(draw(first)) for _ in range(3)] == expected[:3]
    rest = first.copy()
    assert [int(draw(rest)) for _ in range(3)] == expected[3:]


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**32 - 1))
def test_a_bounded_draw_is_below_its_bound(seed: int, bound: int):
    one = stream(seed)
    assert all(0 <= draw_below(one, bound) < bound for _ in range(20))


def test_a_bound_of_one_leaves_nothing_to_chance():
    assert {draw_below(stream(seed), 1) for seed in range(50)} == {0}


@pytest.mark.parametrize("bound", [2, 3, 7, 64])
def test_bounded_draws_are_uniform(bound: int):
    one = stream(1)
    counts = np.bincount([draw_below(one, bound) for _ in range(DRAWS)], minlength=bound)
    assert stats.chisquare(counts).pvalue > 0.0027  # 3 sigma


def test_unit_draws_are_uniform():
    one = stream(2)
    draws = np.array([draw_unit(one) for _ in range(DRAWS)])
    assert (draws.min() >= 0, draws.max() < 1) == (True, True)
    assert stats.kstest(draws, "uniform").pvalue > 0.0027


@given(st.integers(0, 2**63 - 1), st.text(), st.integers(0, 10**9), st.integers(0, 50))
def test_a_documents_key_does_not_depend_on_its_block(seed, source, first, count):
    keys = document_keys(seed, source, first, count)
    alone = [document_keys(seed, source, first + number, 1)[0] for number in range(count)]
    assert keys.dtype == np.uint64
    assert keys.tolist() == [int(key) for key in alone]


def test_all_documents_of_a_source_have_different_keys():
    assert len(set(document_keys(0, "books", 0, DRAWS).tolist())) == DRAWS


def test_keys_depend_on_seed_and_source():
    keys = [document_keys(seed, name, 0, 100) for seed in (0, 1) for name in ("books", "pages")]
    assert len(set(np.concatenate(keys).tolist())) == 400


def test_streams_of_neighbouring_documents_are_independent():
    first = np.array([draw_unit(key) for key in document_keys(0, "books", 0, 20_000)[:, None]])
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03  # 4 sigma
    assert stats.kstest(first, "uniform").pvalue > 0.0027


def test_keys_are_the_same_on_every_machine():
    assert document_keys(5, "books", 3, 2).tolist() == [1078212247754071720, 15922038064456963216]
