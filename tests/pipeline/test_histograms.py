import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from pipeline.config import PackConfig
from pipeline.histograms import draw_histograms
from pipeline.inspect_config import InspectConfig
from pipeline.pack import pack
from shards.errors import DataError

PNG = b"\x89PNG\r\n\x1a\n"


def test_inspect_draws_a_picture(shards_folder: Path, tmp_path: Path):
    picture = tmp_path / "new" / "rows.png"
    options = ["--rows", "0", "--split", "validation", "--plot", str(picture)]
    result = CliRunner().invoke(main, ["inspect", str(shards_folder), *options])
    assert result.exit_code == 0, result.output
    assert f"histograms: {picture}" in result.output
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.parametrize("layout", ["segments", "stream"])
def test_other_layouts_are_drawn_too(tmp_path: Path, text_folder, tokenizer_folder, layout: str):
    config = PackConfig(max_length=(32,), layout=layout, validation_fraction=0)
    pack(text_folder, tokenizer_folder, tmp_path / "shards", config, workers=1)
    picture = draw_histograms(tmp_path / "shards", InspectConfig(), tmp_path / "rows.png")
    assert picture.read_bytes().startswith(PNG)


def test_matplotlib_that_is_missing_is_named(shards_folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DataError, match=r"matplotlib is not installed: pip install"):
        draw_histograms(shards_folder, InspectConfig(), tmp_path / "rows.png")
