"""results.png: drawn where matplotlib is, and said where it is not."""

import sys

import pytest

from tests.train.glue.made import glue_results, task_results
from train.glue.picture import draw

RESULTS = glue_results(task_results("rte", (0.6, 0.7), (0.5,)), task_results("mnli", (0.6,)))


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    assert draw(RESULTS, tmp_path) is None
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_a_line_instead(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install -e '.[watch]'" in (draw(RESULTS, tmp_path) or "")
    assert list(tmp_path.iterdir()) == []
