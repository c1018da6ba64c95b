"""Four small sources, and what `pack` makes of them."""

import shutil
from pathlib import Path

import pytest

from pipeline.pack import pack
from tests.pipeline.pack.packing import CONFIG, SOURCES


@pytest.fixture(scope="session")
def sources(tmp_path_factory, write_source, prose) -> Path:
    """Four small sources, hence four shards."""
    folder = tmp_path_factory.mktemp("sources")
    for seed, name in enumerate(SOURCES):
        write_source(folder / name, [*prose(12, seed + 10), "", f"Title\n\nOnly in {name}. Yes."])
    return folder


@pytest.fixture(scope="session")
def packed(tmp_path_factory, sources: Path, tokenizer_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack(sources, tokenizer_folder, folder, CONFIG, workers=1)
    return folder


@pytest.fixture
def copy(tmp_path: Path, packed: Path) -> Path:
    """A copy of `packed` that a test may break."""
    return Path(shutil.copytree(packed, tmp_path / "copy"))
