"""Folders: what is found in them, whatever links and names they hold."""

import errno
import os
import pickle
import subprocess
import sys
import unicodedata
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import FetchConfig
from pipeline.readers import gutenberg, openwebtext, text, wikipedia, wikitext
from pipeline.readers.parts import visible_files
from shards.errors import DataError

READERS = {
    gutenberg: "x.txt",
    openwebtext: "x.tar",
    text: "x.txt",
    wikipedia: "x.xml",
    wikitext: "wiki.train.raw",
}


def test_files_are_sorted_by_name_and_hidden_ones_are_passed_over(tmp_path):
    for name in ("b/c.txt", "b.txt", "a", ".hidden/x.txt", "b/.x.txt", "b/.x/y.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = visible_files(tmp_path)
    assert list(found.items()) == [(name, tmp_path / name) for name in ("a", "b.txt", "b/c.txt")]


def test_links_are_followed_and_a_cycle_ends(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    for name in ("folder/real/a", "outside/sub/b", "outside/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (folder / "again").symlink_to(folder / "real")
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "c")
    (folder / "nothing").symlink_to(tmp_path / "nothing")
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "through").symlink_to(outside / "c" / "d")
    (outside / "sub" / "up").symlink_to(folder)
    assert list(visible_files(folder)) == ["file", "link/c", "link/sub/b", "real/a"]


@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch, linked):
    (tmp_path / "folder").mkdir()
    closed = tmp_path / ("closed" if linked else "folder/closed")
    closed.mkdir()
    if linked:
        (tmp_path / "folder" / "link").symlink_to(closed)
    scandir = os.scandir

    def refuse(path):  # root, who may run the tests, may read every folder
        if os.path.realpath(path) == str(closed):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match=r"folder/(closed|link)"):
        visible_files(tmp_path / "folder")


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_every_reader_finds_files_behind_links(tmp_path, reader):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / READERS[reader]).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / f".{READERS[reader]}").touch()
    is_flat = reader is wikipedia
    link = tmp_path / "folder" / (READERS[reader] if is_flat else "link")
    link.symlink_to(tmp_path / "real" / READERS[reader] if is_flat else tmp_path / "real")
    (tmp_path / "folder" / "z").mkdir()
    (tmp_path / "folder" / "z" / "up").symlink_to(tmp_path / "folder")
    assert list(reader.find(tmp_path / "folder")) == [
        READERS[reader] if is_flat else f"link/{READERS[reader]}"
    ]


@pytest.mark.parametrize("stem", [os.fsdecode(b"caf\xe9"), unicodedata.normalize("NFD", "café")])
@pytest.mark.parametrize(
    ("reader", "ending"),
    [
        (text, ".txt"),
        (text, ".jsonl"),
        (text, ".parquet"),
        (gutenberg, ".txt"),
        (wikitext, ".train.raw"),
        (wikitext, ".parquet"),
    ],
)
def test_odd_file_names_do_no_harm(tmp_path, monkeypatch, reader, ending, stem):
    monkeypatch.setattr(text, "LARGEST_PART", 1)
    path = tmp_path / (f"wiki.{stem}{ending}" if ending.endswith("raw") else f"{stem}{ending}")
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system takes no such name")
    if ending == ".parquet":
        with path.open("wb") as file:
            pq.write_table(pa.table({"text": ["Words."]}), file)
    else:
        path.write_text('{"text": "Words."}' if ending == ".jsonl" else "Words.")
    for place in (path, tmp_path):
        assert [one.text for one in _read(reader, place)] == ["Words."]


@pytest.mark.parametrize(
    ("reader", "ending"),
    [
        (text, ".txt"),
        (text, ".parquet"),
        (openwebtext, ".tar"),
        (wikipedia, ".xml"),
        (wikitext, ".parquet"),
    ],
)
def test_a_fault_of_an_oddly_named_file_can_be_printed(tmp_path, reader, ending):
    path = tmp_path / (os.fsdecode(b"caf\xe9") + ending)
    try:
        path.write_bytes(b"P\0\0")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(DataError, match=r"caf\udce9") as caught:
        list(_read(reader, path))
    code = "import os, sys; print(os.fsdecode(sys.argv[1]), file=sys.stderr)"
    run = [sys.executable, "-c", code, os.fsencode(str(caught.value))]
    assert rb"caf\udce9" in subprocess.run(run, check=True, capture_output=True).stderr


def _read(reader, path):
    for part in reader.divide(reader.find(path), FetchConfig(), 1):
        yield from reader.read(pickle.loads(pickle.dumps(part)), FetchConfig(), Counter())
