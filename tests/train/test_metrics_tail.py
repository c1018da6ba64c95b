import json

import pytest

from train.metrics_tail import TAIL_BYTES, read_tail


def line(step, **more):
    return json.dumps({"step": step, "loss": 1.0 * step, **more}).encode() + b"\n"


def test_the_last_lines_are_in_order_and_the_last_scores_are_found(tmp_path):
    path = tmp_path / "metrics.jsonl"
    scored = line(3, validation={"x_loss": 0.5})
    path.write_bytes(line(1) + line(2, validation={"x_loss": 9.0}) + scored + line(4) + line(5))
    tail = read_tail(path, 2)
    assert [one["step"] for one in tail.lines] == [4, 5]
    assert tail.validation == {"x_loss": 0.5}


@pytest.mark.parametrize(
    "spoilt", [b"", b"\x00\xff\n", b'{"step": 7', b"[]\n", line(9, loss=None), b'{"step": "a"}\n']
)
def test_spoilt_lines_do_not_count(tmp_path, spoilt):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line(1) + line(2) + spoilt)
    assert [one["step"] for one in read_tail(path, 5).lines] == [1, 2]


def test_no_file_and_an_empty_one_have_no_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_tail(path, 3) == ([], {})
    path.touch()
    assert read_tail(path, 3) == ([], {})


def test_of_a_long_file_the_end_is_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    filler = line(1, what="x" * 4000)
    scored = line(1, validation={"x_loss": 0.5})
    path.write_bytes(scored + filler * (TAIL_BYTES[-1] // len(filler) + 1) + line(2))
    assert read_tail(path, 1).validation == {}  # too far away
    path.write_bytes(filler + scored + filler * (TAIL_BYTES[1] // len(filler)) + line(2))
    tail = read_tail(path, 3)
    assert tail.validation == {"x_loss": 0.5}
    assert [one["step"] for one in tail.lines] == [1, 1, 2]
