from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.masks import draw_masks, draw_sets, ngram_law

OUTSIDE = -1
MAX_NGRAM = 3
NGRAM_LAW = ngram_law("ngram", MAX_NGRAM)

WORD_LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=40)


def draw_set(lengths: list[int], segments: list[int], budget: int, seed: int):
    """Draw one set over words of these lengths from position 1 on; return all that it tells."""
    words = np.cumsum([1, *lengths], dtype=np.int64)
    bits = np.zeros((words[-1] + 8) // 8, np.uint8)
    drawn, placed = np.zeros(MAX_NGRAM, np.int64), np.zeros(MAX_NGRAM, np.int64)
    stream = np.array([seed], np.uint64)
    inside = np.array(segments) != OUTSIDE
    covered = draw_masks(words, inside, budget, stream, (NGRAM_LAW, drawn, placed), bits)
    is_masked = np.unpackbits(bits, bitorder="little").astype(bool)
    return covered, is_masked, words, drawn, placed


@st.composite
def rows(draw):
    """Words of two segments, a [SEP] of one token between them; a budget and a seed."""
    first, second = draw(WORD_LENGTHS), draw(WORD_LENGTHS)
    lengths = [*first, 1, *second]
    segments = [0] * len(first) + [OUTSIDE] + [1] * len(second)
    return lengths, segments, draw(st.integers(0, sum(lengths))), draw(st.integers(0, 2**64 - 1))


@given(rows())
def test_a_set_keeps_its_budget_and_tells_what_it_covers(row):
    covered, is_masked, *_ = draw_set(*row)
    assert covered == is_masked.sum() <= row[2]


@given(rows())
def test_whole_words_are_covered_or_none_of_a_word(row):
    _, is_masked, words, *_ = draw_set(*row)
    for first, last in pairwise(words):
        assert len(set(is_masked[first:last])) == 1


@given(rows())
def test_nothing_outside_the_segments_is_covered(row):
    _, is_masked, words, *_ = draw_set(*row)
    outside = words[row[1].index(OUTSIDE)]
    assert not is_masked[outside]
    assert not is_masked[0]
    assert not is_masked[words[-1] :].any()


@given(rows())
def test_the_placed_words_are_those_covered(row):
    _, is_masked, words, drawn, placed = draw_set(*row)
    covered_words = is_masked[words[:-1]].sum()
    assert covered_words == (placed * np.arange(1, MAX_NGRAM + 1)).sum()
    assert drawn.sum() >= placed.sum()


@given(rows())
def test_what_is_left_of_the_budget_fits_no_word_that_is_left(row):
    covered, is_masked, words, *_ = draw_set(*row)
    free = ~is_masked[words[:-1]] & (np.array(row[1]) != OUTSIDE)
    assert (np.diff(words)[free] > row[2] - covered).all()


def test_n_is_drawn_by_the_law():
    counts = np.zeros(MAX_NGRAM, np.int64)
    for seed in range(3000):
        counts += draw_set([1] * 60, [0] * 60, 9, seed)[3]
    expected = NGRAM_LAW * counts.sum()
    assert counts.sum() > 10_000
    assert stats.chisquare(counts, expected).pvalue > 0.0027  # 3 sigma


def test_the_law_is_proportional_to_1_over_n():
    assert np.allclose(NGRAM_LAW, np.array([6, 3, 2]) / 11)


def test_a_run_never_crosses_a_segments_end():
    """With 2 words of each segment, 3 in a row can be covered only by two runs or more."""
    for seed in range(300):
        _, _, _, _, placed = draw_set([1, 1, 1, 1, 1], [0, 0, OUTSIDE, 1, 1], 4, seed)
        assert placed[2] == 0


def test_without_budget_nothing_is_drawn():
    covered, is_masked, _, drawn, _ = draw_set([1] * 5, [0] * 5, 0, 1)
    assert (covered, is_masked.any(), drawn.sum()) == (0, False, 0)


def test_a_budget_for_all_covers_all():
    covered, is_masked, *_ = draw_set([2, 3, 1], [0] * 3, 6, 1)
    assert (covered, is_masked[1:7].all()) == (6, True)


def test_words_inside_a_segment_are_covered_as_often_and_the_outermost_less():
    """A run begins anywhere and ends with the segment: fewer go over its first and last word."""
    counts = np.zeros(31)
    for seed in range(4000):
        counts += draw_set([1] * 30, [0] * 30, 5, seed)[1][:31]
    share = counts[1:] / 4000
    inside = share[3:-3].mean()
    assert share[3:-3] == pytest.approx(inside, abs=4 * np.sqrt(0.14 / 4000))
    assert 0.6 < share[[0, -1]].mean() / inside < 0.85


def test_n_is_drawn_again_among_what_fits():
    """Two words: 1 of 2 sets begins at the first, where n = 2 has 1/3 of what is left of the law.

    Were n cut to what fits, it would have 5/11.
    """
    sets, expected = 20_000, 1 / 2 * NGRAM_LAW[1] / NGRAM_LAW[:2].sum()
    pairs = sum(draw_set([1, 1], [0, 0], 2, seed)[4][1] for seed in range(sets))
    sigma = np.sqrt(expected * (1 - expected) / sets)
    assert pairs / sets == pytest.approx(expected, abs=3 * sigma)


def draw_row(words: int, length: int, budget: int, seed: int, law=NGRAM_LAW, count: int = 4):
    """Draw the sets of a row of words of this length; return them, and the runs placed."""
    starts = 1 + length * np.arange(words + 1)
    sets = np.zeros((count, (starts[-1] + 8) // 8), np.uint8)
    drawn, placed = np.zeros((2, len(law)), np.int64)
    stream = np.array([seed], np.uint64)
    draw_sets(starts, np.ones(words, np.bool_), budget, stream, (law, drawn, placed), sets)
    return sets, placed


@pytest.mark.parametrize(("words", "budget"), [(4, 1), (5, 1), (4, 3), (4, 2), (12, 2)])
def test_the_sets_of_a_short_row_differ_where_four_can(words, budget):
    single = np.ones(1)  # each choice of words is as likely
    for seed in range(300):
        sets, placed = draw_row(words, 1, budget, seed, single)
        assert len({bytes(one) for one in sets}) == 4
        assert np.bitwise_count(sets).sum() == placed.sum() == 4 * budget


@pytest.mark.parametrize(("words", "budget", "possible"), [(2, 1, 2), (3, 2, 3), (3, 3, 1)])
def test_a_row_of_few_possible_sets_has_all_of_them(words, budget, possible):
    for seed in range(200):
        sets, placed = draw_row(words, 1, budget, seed)
        assert len({bytes(one) for one in sets}) == possible
        assert (placed * np.arange(1, 4)).sum() == 4 * budget


def test_a_row_without_room_has_no_mask():
    sets, placed = draw_row(1, 5, 4, 0)  # a word longer than a set may be
    assert not sets.any()
    assert not placed.any()


def test_equal_streams_draw_equal_sets_and_others_do_not():
    masks = [draw_set([1] * 60, [0] * 60, 9, seed)[1].tolist() for seed in (1, 1, 2)]
    assert masks[0] == masks[1] != masks[2]
