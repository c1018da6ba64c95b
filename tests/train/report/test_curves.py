import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.metrics import read_metrics
from train.metrics_tail import read_tail
from train.report.curves import (
    AT_THE_END,
    MOST_BUCKETS,
    MOST_SCORED,
    Curve,
    Curves,
    read_curves,
    smooth,
)


def curve_of(values, steps=None):
    curve = Curve()
    for step, value in zip(steps or range(1, len(values) + 1), values, strict=True):
        curve.add(step, value)
    return curve


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=3 * MOST_BUCKETS))
def test_buckets_hold_every_value_once(values):
    curve = curve_of(values)
    assert len(curve) <= MOST_BUCKETS
    assert curve.counts.sum() == len(values)
    parts = [values[start : start + curve.width] for start in range(0, len(values), curve.width)]
    assert curve.means == pytest.approx([np.mean(part) for part in parts])
    assert curve.lows.tolist() == [min(part) for part in parts]
    assert curve.highs.tolist() == [max(part) for part in parts]


def test_steps_that_are_missing_leave_a_gap():
    curve = curve_of([1.0, 2.0, 3.0], [1, 2, 900])
    assert curve.steps.tolist() == [1, 2, 900]
    many = curve_of(np.ones(2000), [*range(1, 1001), *range(5001, 6001)])
    assert np.diff(many.steps).max() > 4000


def test_the_middle_of_a_smoothed_curve_is_the_centred_mean():
    values = np.random.default_rng(0).normal(size=400)
    half = 400 // 40
    expected = np.convolve(values, np.full(2 * half + 1, 1 / (2 * half + 1)), "valid")
    assert smooth(curve_of(values))[half:-half] == pytest.approx(expected)


def test_the_ends_of_a_smoothed_curve_are_those_of_lines_that_fit():
    values = np.random.default_rng(1).normal(size=400)
    found, half = smooth(curve_of(values)), 10
    assert found[0] == pytest.approx(values[0])
    assert found[3] == pytest.approx(values[:7].mean())
    for place in (395, 399):
        behind = 399 - place
        steps = np.arange(place - half - AT_THE_END * (half - behind), 400)
        line = np.polyfit(steps, values[steps], 1)
        assert found[place] == pytest.approx(np.polyval(line, place))


def test_the_end_of_a_smoothed_curve_is_as_quiet_as_its_middle():
    noise = np.random.default_rng(2).normal(size=(400, 400))
    smoothed = np.array([smooth(curve_of(values)) for values in noise])
    assert smoothed[:, 390:].std() == pytest.approx(smoothed[:, 200:210].std(), rel=0.2)


@pytest.mark.parametrize("steps", [1, 2, 7, 500, 5000])
def test_smoothing_does_not_lag(steps):
    line = 3.0 - 0.01 * np.arange(1, steps + 1)
    curve = curve_of(line)
    assert smooth(curve) == pytest.approx(curve.means)


@pytest.mark.parametrize("steps", [100, 4001])
def test_a_jump_between_two_stretches_stays_one(steps):
    curve = Curve()
    for step in range(1, 2 * steps + 1):
        curve.add(step, 1.0 if step <= steps else 3.0, stretch=int(step > steps))
    assert set(smooth(curve).round(9)) == {1.0, 3.0}
    assert smooth(curve) == pytest.approx(np.where(curve.steps <= steps, 1.0, 3.0))


def test_stretches_are_as_long_as_rows_of_one_length(tmp_path):
    made = [
        line | {"loss": 1.0, "max_length": 64 if line["step"] <= 5 else 32} for line in lines(9)
    ]
    assert write(tmp_path / "m", made).training["loss"].stretches == [slice(0, 5), slice(5, 9)]


def test_many_stretches_are_bounded_by_their_number():
    curve, count = Curve(), 2 * MOST_BUCKETS
    for step in range(1, 3 * count + 1):
        curve.add(step, 1.0, stretch=step // 3)
    assert len(curve) <= MOST_BUCKETS + count
    assert curve.counts.sum() == 3 * count


def lines(count, **more):
    for step in range(1, count + 1):
        yield {"step": step, "max_length": 64, "loss": 1.0, "seconds": float(step)} | more


def write(path, content):
    path.write_text("".join(json.dumps(line) + "\n" for line in content))
    return read_curves(path)


def test_spoilt_and_skipped_lines_are_counted(tmp_path):
    path = tmp_path / "metrics.jsonl"
    made = [json.dumps(line) + "\n" for line in lines(9)]
    made[3] = '{"step": 4, "loss": nul\n'
    made[5] = '{"step": 6, "loss": null}\n'
    path.write_text("".join(made) + '{"step": 10, "lo')
    curves = read_curves(path)
    assert (curves.count, curves.last_step, curves.missing, curves.skipped) == (8, 9, 1, 1)
    assert curves.training["loss"].steps.tolist() == [1, 2, 3, 5, 7, 8, 9]


def test_what_is_no_finite_number_is_in_no_curve(tmp_path):
    odd = {"a": None, "b": "2", "c": math.nan, "d": math.inf, "e": [1], "f": {"g": 1}}
    assert set(write(tmp_path / "m", lines(2, **odd)).training) == {"loss", "seconds", "max_length"}


@pytest.mark.parametrize("name", ["max_length", "loss", "peak_memory", "step"])
def test_a_line_with_a_number_that_is_too_large_to_reckon_with_is_spoilt(tmp_path, name):
    made = [line | {name: 10**400} if line["step"] == 2 else line for line in lines(3)]
    curves = write(tmp_path / "m", made)
    assert curves.training["loss"].steps.tolist() == [1, 3]
    assert curves.missing == 1
    assert [line["step"] for line in read_tail(tmp_path / "m", 9).lines] == [1, 3]


def test_every_byte_is_told_while_a_file_is_read(tmp_path):
    path, seen = tmp_path / "m", []
    write(path, lines(4))
    path.write_bytes(path.read_bytes() + b"spoilt")
    assert len(list(read_metrics(path, seen.append))) == 4
    assert sum(seen) == path.stat().st_size


def test_there_may_be_no_file_and_no_line(tmp_path):
    assert not read_curves(tmp_path / "none").recent
    assert write(tmp_path / "m", []).points("x") == ([], [])


def test_stages_are_told_by_the_length_of_rows(tmp_path):
    stages = [line | {"max_length": 128 if line["step"] > 5 else 64} for line in lines(8)]
    assert write(tmp_path / "m", stages).lengths == [(1, 64), (6, 128)]


def test_many_evaluations_are_thinned_and_the_last_stays():
    curves = Curves()
    for line in lines(3 * MOST_SCORED + 7):
        curves.add(line | {"validation": {"x": float(line["step"]), "y": None}})
    steps, values = curves.points("x")
    assert len(steps) <= MOST_SCORED + 1
    assert steps[0] == 1
    assert steps[-1] == 3 * MOST_SCORED + 7
    assert values == [float(step) for step in steps]
    assert curves.points("y") == ([], [])
