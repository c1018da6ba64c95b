"""One round of the benchmark of `pack` with several workers, on a few MB of prose."""

import json

import pytest
from click.testing import CliRunner

from benchmarks import scale


@pytest.mark.slow
def test_it_ends_with_a_line_of_json(tmp_path, write_source, prose, monkeypatch):
    monkeypatch.setattr(scale, "VOCABULARY", 500)  # made-up prose has few syllables
    write_source(tmp_path / "text" / "books", prose(1200, 1))
    options = ["--text", str(tmp_path / "text"), "--rounds", "1", "--weights", "books=1.5"]
    result = CliRunner().invoke(scale.main, options)
    assert result.exit_code == 0, (result.output, result.exception)
    figures = json.loads(result.output.splitlines()[-1])
    assert figures["identical"]
    assert figures["times"]["1 worker"] == 1
    assert all(figures[name] > 0 for name in ("ratio", "machine", "mb"))
    assert all(rate > 0 for rate in figures["mb_per_s"].values())
