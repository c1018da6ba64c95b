import json

import pytest

from train.metrics import read_metrics, write_metrics


def test_a_resumed_run_writes_every_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with write_metrics(path, 0) as metrics:
        for step in (1, 2, 3, 4):
            metrics.write({"step": step, "loss": 1.0})
    with write_metrics(path, 2) as metrics:
        metrics.write({"step": 3, "loss": 0.5})
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


def test_tensorboard_reads_the_events(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with write_metrics(tmp_path / "metrics.jsonl", 0) as metrics:
        metrics.write({"step": 1, "loss": 2.0, "validation": {"loss": 3.0}})
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [scalar.value for scalar in events.Scalars("validation/loss")] == [3.0]
