import json

import pytest

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
    with write_metrics(path, 2) as metrics:
        metrics.write([{"step": 2}, {"step": 3}])
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


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
