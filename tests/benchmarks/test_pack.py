"""One run of the benchmark of `pack` on a few MB of prose."""

import json

import pytest
from click.testing import CliRunner

from benchmarks import pack
from benchmarks.pack import STEPS


@pytest.mark.slow
def test_it_ends_with_a_line_of_json(tmp_path, write_source, prose, monkeypatch):
    monkeypatch.setattr(pack, "TRAINED_SIZE", 500)  # made-up prose has few syllables
    for number in range(2):
        write_source(tmp_path / "text" / str(number), prose(1200, number))
    options = ["--text", tmp_path / "text", "--vocab", tmp_path, "--max-length", "32"]
    result = CliRunner().invoke(pack.main, list(map(str, options)))
    assert result.exit_code == 0, (result.output, result.exception)
    *table, last = result.output.splitlines()
    figures = json.loads(last)
    wanted = ("ratio", "rows_per_s", "mb_per_s", "peak_rss_mb", "bytes_per_slot", "fill", "kept")
    assert all(figures[name] > 0 for name in wanted)
    assert figures["kept"] == 1
    assert figures["bytes_per_slot"] < 3
    for step in STEPS:
        assert any(line.startswith(step) and line.endswith("%") for line in table)


def test_every_step_that_is_timed_is_there():
    for places in STEPS.values():
        for owner, name in places:
            assert callable(getattr(owner, name))
