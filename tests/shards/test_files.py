import os
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.files import hash_file, write_atomically, write_text


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_half(path: Path, error: BaseException) -> None:
    with write_atomically(path) as file:
        file.write(b"half")
        raise error


def test_a_file_appears_whole_and_alone(tmp_path: Path):
    with write_atomically(tmp_path / "x") as file:
        file.write(b"first")
        assert not (tmp_path / "x").exists()
        file.write(b" second")
    assert everything_in(tmp_path) == {"x": b"first second"}


def test_an_exception_in_the_middle_leaves_nothing(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "x", KeyboardInterrupt())
    assert everything_in(tmp_path) == {}


def test_an_exception_in_the_middle_leaves_the_older_file(tmp_path: Path):
    write_text(tmp_path / "x", "old")
    with pytest.raises(OSError, match="disk full"):
        write_half(tmp_path / "x", OSError("disk full"))
    assert everything_in(tmp_path) == {"x": b"old"}


def test_a_leftover_of_a_killed_run_is_overwritten(tmp_path: Path):
    (tmp_path / "x.partial").write_bytes(b"much longer than what is written now")
    write_text(tmp_path / "x", "new")
    assert everything_in(tmp_path) == {"x": b"new"}


def test_folders_are_made_on_the_way(tmp_path: Path):
    write_text(tmp_path / "a" / "b" / "x", "text")
    assert everything_in(tmp_path / "a" / "b") == {"x": b"text"}


def test_text_is_written_as_utf_8_with_its_newlines(tmp_path: Path):
    write_text(tmp_path / "x", "a\r\né\n")
    assert (tmp_path / "x").read_bytes() == b"a\r\n\xc3\xa9\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot remove an open file")
def test_a_reader_of_the_older_file_keeps_it(tmp_path: Path):
    write_text(tmp_path / "x", "old")
    with (tmp_path / "x").open() as reader:
        write_text(tmp_path / "x", "new")
        assert reader.read() == "old"


@settings(max_examples=20)
@given(st.binary(max_size=300))
def test_the_hash_is_blake3_of_the_content(tmp_path_factory, content: bytes):
    path = tmp_path_factory.mktemp("hash") / "x"
    path.write_bytes(content)
    assert hash_file(path) == blake3(content).hexdigest()
