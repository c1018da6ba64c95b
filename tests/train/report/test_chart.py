import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train.report.reading import Reading
from train.report.bars import histogram, list_bars
from train.report.chart import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axis,
    Chart,
    Trace,
    axes_of,
    draw,
    log_ticks,
    path,
    round_ticks,
    texts,
)

SOME = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-6)


def numbers(text):
    return [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_a_known_point_lands_where_it_should():
    line = Trace("a", 0, [1, 51, 101], [0.0, 5.0, 10.0])
    chart = Chart("t", 101, [line], [Trace("b", 0, [51], [5.0])])
    x, y = axes_of(chart)
    assert (x.low, x.high, y.low) == (1, 101, 0)
    assert y.high == pytest.approx(10.4)
    middle = BOTTOM + 5 / 10.4 * (TOP - BOTTOM)
    (dot, *_) = Reading(draw(chart)).all("circle")
    assert float(dot["cx"]) == pytest.approx((LEFT + RIGHT) / 2, abs=0.05)
    assert float(dot["cy"]) == pytest.approx(middle, abs=0.05)
    drawn = numbers(Reading(draw(chart)).all("path", "line")[0]["d"])
    assert drawn[:2] == pytest.approx([LEFT, BOTTOM], abs=0.05)
    assert drawn[2:4] == pytest.approx([(LEFT + RIGHT) / 2, middle], abs=0.05)


def test_logarithms_are_evenly_spaced_and_what_has_none_is_left_out():
    axis = Axis(1, 100, 0, 200, is_log=True)
    assert axis.place([1, 10, 100]).tolist() == pytest.approx([0, 100, 200])
    chart = Chart("t", 3, [Trace("a", 0, [1, 2, 3], [0.0, 1.0, 10.0])], is_log=True)
    assert len(numbers(Reading(draw(chart)).all("path", "line")[0]["d"])) == 4
    nothing = Chart("t", 2, [Trace("a", 0, [1, 2], [0.0, 0.0])], is_log=True)
    Reading(draw(nothing))


def test_guessing_is_a_line_across_the_frame_that_changes_where_the_stage_does():
    chart = Chart("t", 100, [Trace("a", 0, [1, 100], [1.0, 2.0])])
    chart.guesses.append(Trace("guess", -1, [1, 51], [1.0, 2.0]))
    x, y = axes_of(chart)
    drawn = numbers(Reading(draw(chart)).all("path", "guess")[0]["d"])
    low, high, border = (float(one) for one in (y.place(1.0), y.place(2.0), x.place(51)))
    expected = [LEFT, low, border, low, border, high, RIGHT, high]
    assert drawn == pytest.approx(expected, abs=0.06)


def test_the_spread_is_a_band_and_single_steps_are_a_pale_line():
    steps, values = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0])
    band = Chart("t", 3, [Trace("a", 0, steps, values, values - 1, values + 1)])
    assert Reading(draw(band)).all("path", "band")
    raw = Reading(draw(Chart("t", 3, [Trace("a", 0, steps, values, values, values)])))
    assert raw.all("path", "raw")
    assert not raw.all("path", "band")


def test_one_step_and_one_value_can_be_drawn():
    Reading(draw(Chart("t", 1, [Trace("a", 0, [1], [0.0], [0.0], [0.0])])))
    Reading(draw(Chart("t", 1, [], [Trace("a", 9, [1], [-3.0])])))


@given(st.lists(SOME, min_size=1, max_size=30), st.booleans(), st.booleans())
def test_any_numbers_stay_in_the_frame(values, is_log, percent):
    steps = list(range(1, len(values) + 1))
    chart = Chart("t", len(values), [Trace("a", 0, steps, values)], is_log=is_log, percent=percent)
    drawing = Reading(draw(chart))
    points = numbers(drawing.all("path", "line")[0]["d"])
    if points != [0, 0]:
        assert all(LEFT - 0.1 <= x <= RIGHT + 0.1 for x in points[::2])
        assert all(TOP - 0.1 <= y <= BOTTOM + 0.1 for y in points[1::2])


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low, size):
    ticks = round_ticks(low, low + size)
    assert 3 <= len(ticks) <= 9
    assert all(low - size * 1e-6 <= tick <= low + size * (1 + 1e-6) for tick in ticks)


@given(st.floats(1e-9, 1e9), st.floats(1.1, 1e9))
def test_ticks_of_logarithms_are_few_and_inside(low, factor):
    ticks = log_ticks(low, low * factor)
    assert 2 <= len(ticks) <= 9
    assert all(low * 0.99 <= tick <= low * factor * 1.01 for tick in ticks)


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0, 0.003, 0.006], ["0", "0.003", "0.006"]),
        ([500, 1000, 1500], ["500", "1k", "1.5k"]),
        ([-1000, 0, 1000], ["-1k", "0", "1k"]),
        ([20.09, 20.0901, 20.0902], ["20.09", "20.0901", "20.0902"]),
        ([1_052_000, 1_052_500], ["1.052M", "1.0525M"]),
        ([0, 5e-7, 1e-6, 1.5e-6], ["0", "5e-7", "1e-6", "1.5e-6"]),
        ([1e-3, 1, 1e3, 1e6], ["0.001", "1", "1k", "1M"]),
    ],
)
def test_ticks_are_short_and_no_two_read_alike(ticks, expected):
    assert texts(ticks) == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_no_two_ticks_read_alike(low, size):
    found = texts(round_ticks(low, low + size))
    assert len(set(found)) == len(found)


def test_the_axis_of_a_loss_has_about_six_ticks():
    assert round_ticks(4.5, 9.2) == [5, 6, 7, 8, 9]
    assert round_ticks(5.6, 8.2) == [6, 6.5, 7, 7.5, 8]


def test_values_that_differ_by_rounding_alone_are_one():
    values = [20.09, 20.09 * (1 + 1e-12)]
    _, y = axes_of(Chart("t", 2, [Trace("a", 0, [1, 2], values)]))
    assert (y.low, y.high) == pytest.approx((20.09 * 0.9, 20.09 * 1.1))


def test_a_long_label_is_made_to_fit():
    labels = Reading(draw(Chart("t", 2, [Trace("a", 0, [1, 2], [20.0900001, 20.0900005])])))
    assert all(float(one["textlength"]) < LEFT for one in labels.all("text") if "dy" in one)
    assert not any("textlength" in one for one in labels.all("text") if "dy" not in one)


def test_an_empty_path_is_still_one():
    assert path(np.empty(0), np.empty(0)) == "M0 0"


def test_colours_begin_again_dashed():
    chart = Chart("t", 2, [Trace(str(n), n, [1, 2], [1.0, 2.0]) for n in range(9)])
    drawn = [one["class"] for one in Reading(draw(chart)).all("path", "line")]
    assert "line c0" in drawn
    assert "line c0 again" in drawn


def test_bars_are_as_high_as_their_shares():
    shares = {"drawn": [0.5, 0.25], "placed": [0.25, 0.5]}
    drawing = Reading(histogram("t", ["1", "2"], shares, "words"))
    heights = [float(bar["height"]) for bar in drawing.all("rect") if float(bar["width"]) > 16]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert heights[:2] == heights[3:1:-1]
    lying = Reading(list_bars("t", {"a": 2, "a name that is too long": 1}, ["2", "<1>"]))
    wide, narrow = (float(bar["width"]) for bar in lying.all("rect"))
    assert wide == pytest.approx(2 * narrow, abs=0.1)
    assert "a name that is…" in lying.text
    assert "<1>" in lying.text
