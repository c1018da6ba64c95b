import json
import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from shards.files import hash_file, write_text
from shards.manifest import (
    FileRecord,
    Manifest,
    difference,
    library_versions,
    read_manifest,
    record_file,
)

NUMBERS = st.integers(0, 1 << 62)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TABLE = st.dictionaries(st.text(), VALUES, max_size=3)
NAMES = st.dictionaries(st.text(), st.text(), max_size=3)
MANIFESTS = st.builds(
    Manifest,
    stage=st.text(),
    config=TABLE,
    inputs=NAMES,
    files=st.dictionaries(
        st.text(), st.builds(FileRecord, NUMBERS, NUMBERS, st.text(), NUMBERS), max_size=3
    ),
    counts=TABLE,
    versions=NAMES,
)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """The manifest of a folder with two files, not yet written."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    files = {name: record_file(tmp_path / name, rows=7) for name in ("a", "b")}
    return Manifest(stage="pack", config={"seed": 1}, inputs={"text": "00"}, files=files)


@settings(max_examples=40)
@given(MANIFESTS)
def test_a_manifest_is_read_as_it_was_written(tmp_path_factory, manifest: Manifest):
    folder = tmp_path_factory.mktemp("manifest")
    manifest.write(folder)
    assert read_manifest(folder) == manifest


def test_a_folder_without_manifest_has_none(tmp_path: Path):
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "missing") is None


def test_another_version_is_refused_with_both_numbers(tmp_path: Path, manifest: Manifest):
    manifest.write(tmp_path)
    path = tmp_path / "manifest.json"
    document = json.loads(path.read_text()) | {"manifest_version": 7}
    write_text(path, json.dumps(document))
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path)
    assert caught.value.problem == f"{path} has manifest version 7, this Hearth reads 1"
    assert caught.value.remedy == f"delete {tmp_path} and run the command that makes it again"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b"3",
        b"null",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b'{"manifest_version": 1}',
        b'{"manifest_version": 1, "files": 3}',
        b'{"manifest_version": 1, "files": {"a": 3}, "stage": "pack", "config": {}, "inputs": {}}',
        b'{"manifest_version": 1, "files": {"a": {}}, "stage": "pack", "config": {}, "inputs": {}}',
        b'{"manifest_version": 1, "files": {}, "stage": "pack"}',
        b'{"manifest_version": 1, "files": {}, "stage": "a", "config": {}, "inputs": {}, "x": 1}',
    ],
)
def test_what_is_no_manifest_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path)
    assert str(tmp_path / "manifest.json") in caught.value.problem


def test_the_fingerprint_is_of_names_and_contents_only(manifest: Manifest):
    later = {name: replace(file, mtime_ns=1) for name, file in manifest.files.items()}
    same = replace(manifest, files=later, counts={"x": 1}, versions={"numpy": "0"}, config={})
    assert same.fingerprint() == manifest.fingerprint()


def test_the_fingerprint_changes_with_a_name_or_a_content(manifest: Manifest):
    a, b = manifest.files.values()
    renamed = replace(manifest, files={"a": a, "c": b})
    rewritten = replace(manifest, files={"a": a, "b": replace(b, blake3="0" * 64)})
    prints = {one.fingerprint() for one in (manifest, renamed, rewritten)}
    assert len(prints) == 3


def test_a_file_is_recorded_with_size_time_and_hash(tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 2))
    assert record_file(path, rows=3) == FileRecord(5, 2, hash_file(path), 3)


def test_an_intact_folder_has_no_damage(tmp_path: Path, manifest: Manifest):
    assert manifest.damaged(tmp_path) == []


def test_a_touched_file_still_stands(tmp_path: Path, manifest: Manifest):
    os.utime(tmp_path / "a", ns=(1, 1))
    assert manifest.damaged(tmp_path) == []


def test_a_missing_file_is_damage(tmp_path: Path, manifest: Manifest):
    (tmp_path / "b").unlink()
    assert manifest.damaged(tmp_path) == ["b"]


def test_a_file_of_another_size_is_damage_whatever_its_time(tmp_path: Path, manifest: Manifest):
    (tmp_path / "a").write_bytes(b"a")
    os.utime(tmp_path / "a", ns=(1, manifest.files["a"].mtime_ns))
    assert manifest.damaged(tmp_path) == ["a"]


def test_another_content_of_the_same_size_is_damage(tmp_path: Path, manifest: Manifest):
    (tmp_path / "a").write_bytes(b"c" * 100)
    os.utime(tmp_path / "a", ns=(1, 1))
    assert manifest.damaged(tmp_path) == ["a"]


def test_a_folder_in_a_files_place_is_damage(tmp_path: Path, manifest: Manifest):
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    assert manifest.damaged(tmp_path) == ["a"]


def test_equal_configurations_do_not_differ():
    assert difference({"seed": 1, "name": "x"}, {"name": "x", "seed": 1}) is None


def test_the_first_field_that_differs_is_named_with_both_values():
    old, new = {"seed": 1, "width": 64}, {"seed": 1, "width": 128}
    assert difference(old, new) == "width 64, not 128"


def test_a_field_that_is_missing_differs():
    assert difference({}, {"seed": 1}) == "seed None, not 1"
    assert difference({"seed": 1}, {}) == "seed 1, not None"


def test_library_versions_are_those_installed():
    assert library_versions("numpy") == {"numpy": version("numpy")}
