import numpy as np
import pytest

from pipeline.words import kept
from pipeline.words.kept import keep


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Return a function that keeps some arrays, and how often they were worked out."""
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "folder")
    calls = []

    def work(key):
        def work_out():
            calls.append(key)
            return [np.arange(5, dtype=np.int32), np.array([True, False])]

        return keep(key, work_out)

    return work, calls


def test_what_was_kept_is_not_worked_out_again(work):
    run, calls = work
    first, second = run("a"), run("a")
    assert calls == ["a"]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
        assert other.flags.writeable  # as the first: machine code is made for one of them
    run("b")
    assert calls == ["a", "b"]


@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "noise"])
def test_a_broken_file_is_made_again(work, tmp_path, damage):
    run, calls = work
    run("a")
    (path,) = (tmp_path / "folder").iterdir()
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        at = raw.index(np.arange(5, dtype=np.int32).tobytes())
        raw[at] ^= 1
    changed = {"empty": b"", "cut": raw[:-30], "flip": raw, "noise": b"x" * 300}[damage]
    path.write_bytes(bytes(changed))
    np.testing.assert_array_equal(run("a")[0], np.arange(5))
    assert calls == ["a", "a"]
    run("a")
    assert calls == ["a", "a"]


def test_no_flipped_byte_is_believed(work, tmp_path):
    """Some that numpy's own reading overlooks make another array, or one array fewer."""
    run, calls = work
    expected = run("a")
    (path,) = (tmp_path / "folder").iterdir()
    raw = path.read_bytes()
    places = range(0, len(raw), 3)
    for at in places:
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        for one, other in zip(run("a"), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(calls) == 1 + len(places)


def test_where_nothing_can_be_written_each_process_works_for_itself(work, tmp_path):
    run, calls = work
    (tmp_path / "folder").touch()  # no folder can be made there
    assert len(run("a")) == len(run("a")) == 2
    assert calls == ["a", "a"]
