"""Any byte of any file of a folder of shards, turned into another one, is reported."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from shards.manifest import MANIFEST_NAME, read_manifest, record_file
from shards.verify import verify


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, make_header, make_rows, write_folder) -> Path:
    """A row for training, one for validation, at two lengths, and a tokenizer's second file."""
    folder = tmp_path_factory.mktemp("tiny")
    header = make_header()
    shards = {
        "train/12/part-00000.arrow": make_rows(header, [8]),
        "validation/12/part-00000.arrow": make_rows(header, [12], 1),
        "train/8/part-00000.arrow": make_rows(make_header(max_length=8), [8]),
    }
    write_folder(folder, header, shards)
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"pad_token": "[PAD]"}')
    manifest = read_manifest(folder)
    assert manifest is not None
    name = "tokenizer/tokenizer_config.json"
    manifest.files[name] = record_file(folder / name)
    manifest.write(folder)
    assert list(verify(folder)) == []
    return folder


def is_reported(folder: Path, name: str, content: bytes, place: int, change: int) -> bool:
    """Return whether the change of one byte is; a manifest may become one that nobody reads."""
    path = folder / name
    path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
    try:
        problems = list(verify(folder))
    except DataError as error:
        return name == MANIFEST_NAME and str(folder) in error.problem
    finally:
        path.write_bytes(content)
    return bool(problems) and problems[0].startswith(str(path))


def files_of(folder: Path) -> list[str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(folder).as_posix() for path in paths]


@settings(max_examples=200)
@given(data=st.data())
def test_a_flipped_byte_is_reported_wherever_it_is(tiny: Path, data: st.DataObject):
    name = data.draw(st.sampled_from(files_of(tiny)), "file")
    content = (tiny / name).read_bytes()
    place = data.draw(st.integers(0, len(content) - 1), "place")
    assert is_reported(tiny, name, content, place, data.draw(st.integers(1, 255), "change"))


@pytest.mark.slow
def test_every_flipped_byte_is_reported(tiny: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    for name in files_of(folder):
        content = (folder / name).read_bytes()
        for place in range(len(content)):
            change = 1 << (place % 8)
            assert is_reported(folder, name, content, place, change), (name, place)
