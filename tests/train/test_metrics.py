import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train import metrics as metrics_module
from train.metrics import read_metrics, write_metrics


def test_a_resumed_run_writes_every_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with write_metrics(path, 0) as metrics:
        for step in (1, 2, 3, 4):
            metrics.write([{"step": step, "loss": 1.0}])
    with write_metrics(path, 2) as metrics:
        metrics.write([{"step": 3, "loss": 0.5}])
    assert list(read_metrics(path)) == [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": 1.0},
        {"step": 3, "loss": 0.5},
    ]


@pytest.mark.parametrize("spoilt", ['{"step": 2, "lo', "\0" * 40 + "\n", "[2]\n", '{"step": 2}'])
def test_lines_end_before_the_first_that_a_kill_or_a_power_cut_spoilt(tmp_path, spoilt):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\n" + spoilt)
    assert list(read_metrics(path)) == [{"step": 1}]


def test_a_spoilt_end_is_cut_off_before_lines_are_added(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    lines = []
    with write_metrics(path, 1, lines.append) as metrics:
        metrics.write([{"step": 2}, {"step": 3}])
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    assert lines == []
    assert not list(tmp_path.glob("*damaged*"))


def resume(path, step):
    """Take a damaged file up; return its steps afterwards, and what was said."""
    lines = []
    with write_metrics(path, step, lines.append) as metrics:
        metrics.write([{"step": step + 1}])
    return [line["step"] for line in read_metrics(path)], lines


@pytest.mark.parametrize("spoilt", ['{"step": 3, "lo\n', "\0" * 9 + "\n", "[3]\n", '{"step": 2}\n'])
def test_good_lines_after_a_spoilt_one_stay_and_the_missing_step_is_named(tmp_path, spoilt):
    path = tmp_path / "metrics.jsonl"
    good = [f'{{"step": {step}}}\n' for step in range(1, 13)]
    path.write_text("".join([*good[:2], spoilt, *good[3:]]))
    before = path.read_bytes()
    assert [line["step"] for line in read_metrics(path)] == [1, 2, *range(4, 13)]
    steps, lines = resume(path, 9)
    assert steps == [1, 2, *range(4, 11)]
    copy = tmp_path / "metrics-damaged-1.jsonl"
    assert copy.read_bytes() == before
    assert lines == [f"{path} has no line for step 3; the damaged file is now {copy.name}"]
    # The gap is known now: nothing more is copied.
    steps, lines = resume(path, 9)
    assert lines == [f"{path} has no line for step 3"]
    assert len(list(tmp_path.glob("*damaged*"))) == 1


def test_a_step_that_is_too_high_costs_its_own_line_alone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"step": {step}}}\n' for step in (1, 200, 3, 4, 5)))
    assert resume(path, 4)[0] == [1, 3, 4, 5]


def test_missing_lines_are_named_where_the_file_is_gone(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert resume(path, 4) == ([5], [f"{path} has no line for steps 1-4"])


@settings(max_examples=50, deadline=None)
@given(content=st.binary(), step=st.integers(0, 3))
def test_any_bytes_can_be_taken_up(content, step):
    with TemporaryDirectory() as folder, patch.object(metrics_module, "find_spec") as find_spec:
        find_spec.return_value = None  # without TensorBoard: it writes its file every time
        path = Path(folder) / "metrics.jsonl"
        path.write_bytes(content)
        assert resume(path, step)[0] == [step + 1]


def test_what_is_not_finite_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with write_metrics(path, 0) as metrics:
        metrics.write([{"step": 1, "loss": math.nan, "validation": {"perplexity": math.inf}}])
    assert path.read_text() == '{"step": 1, "loss": null, "validation": {"perplexity": null}}\n'


def read_events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def test_tensorboard_reads_the_last_of_the_lines_and_forgets_what_is_done_again(tmp_path):
    line = {"loss": 2.0, "mfu": None, "validation": {"loss": 3.0}}
    for first, loss in ((0, 2.0), (4, 5.0)):
        with write_metrics(tmp_path / "metrics.jsonl", first) as metrics:
            for step in range(first + 1, first + 7, 2):
                lines = [line | {"step": step}, line | {"step": step + 1, "loss": loss}]
                metrics.write(lines)
    events = read_events(tmp_path)
    found = [(scalar.step, scalar.value) for scalar in events.Scalars("loss")]
    assert found == [(2, 2.0), (4, 2.0), (6, 5.0), (8, 5.0), (10, 5.0)]
    assert {scalar.value for scalar in events.Scalars("validation/loss")} == {3.0}
    assert "mfu" not in events.Tags()["scalars"]
    assert [one["step"] for one in read_metrics(tmp_path / "metrics.jsonl")] == list(range(1, 11))
