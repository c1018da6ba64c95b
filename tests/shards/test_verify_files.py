"""Files that are missing, foreign, damaged, or do not belong together."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from shards.errors import DataError
from shards.format import Rows, ShardHeader
from shards.manifest import read_manifest, record_file
from shards.reader import open_shard
from shards.verify import verify
from tests.shards.damage import SHARD, edit_rows, record


def test_an_intact_folder_has_no_problems(folder: Path):
    assert list(verify(folder)) == []


def test_a_touched_file_is_no_problem(folder: Path):
    os.utime(folder / SHARD, ns=(1, 1))
    assert list(verify(folder)) == []


def test_nothing_to_verify_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="no shards at"):
        list(verify(tmp_path))


def test_a_missing_file_is_named(folder: Path):
    (folder / SHARD).unlink()
    assert list(verify(folder)) == [f"{folder / SHARD} is missing"]


def test_a_foreign_file_is_named(folder: Path):
    (folder / "train" / "notes.txt").write_text("x")
    expected = f"{folder / 'train' / 'notes.txt'} is foreign: the manifest does not list it"
    assert list(verify(folder)) == [expected]


def test_a_leftover_is_named(folder: Path):
    (folder / f"{SHARD}.partial").write_text("x")
    expected = f"{folder / SHARD}.partial is a leftover: the manifest does not list it"
    assert list(verify(folder)) == [expected]


def test_a_truncated_shard_is_named_with_both_sizes(folder: Path):
    path = folder / SHARD
    content = path.read_bytes()
    path.write_bytes(content[:100])
    expected = f"{path} has 100 bytes, the manifest says {len(content)}"
    assert list(verify(folder)) == [expected]


def test_a_recorded_file_that_is_no_shard_is_named(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None
    path = folder / SHARD
    path.write_bytes(bytes(manifest.files[SHARD].bytes))
    problems = list(verify(folder))
    assert problems[0] == f"{path} is not what was written: its content hash differs"
    assert problems[1].startswith(f"{path} is not a whole shard (")
    assert len(problems) == 2


def test_a_wrong_number_of_rows_is_named(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None
    file = replace(manifest.files[SHARD], rows=7)
    replace(manifest, files=manifest.files | {SHARD: file}).write(folder)
    assert list(verify(folder)) == [f"{folder / SHARD} has 6 rows, the manifest says 7"]


def test_another_header_than_the_manifests_is_named(folder: Path, make_rows):
    header, _ = open_shard(folder / SHARD)
    other = replace(header, tokenizer="1" * 64)
    record(folder, SHARD, other, make_rows(other, [12]))
    assert list(verify(folder)) == [f"{folder / SHARD} has another header than the manifest"]


def test_a_file_beside_the_shards_is_hashed_too(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.parent.mkdir()
    path.write_text("{}")
    files = manifest.files | {"tokenizer/tokenizer_config.json": record_file(path)}
    replace(manifest, files=files).write(folder)
    assert list(verify(folder)) == []
    path.write_text("[]")
    assert list(verify(folder)) == [
        f"{path} is not what was written: its content hash differs, in bytes that break no other "
        "rule"
    ]


@pytest.mark.parametrize("other", ["train/12/part-00001.arrow", "validation/12/part-00000.arrow"])
def test_two_files_that_changed_places_are_both_named(folder: Path, other: str):
    first, second = folder / SHARD, folder / other
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)
    assert list(verify(folder)) == [
        f"{first} is not what was written: it has the content of {second}",
        f"{second} is not what was written: it has the content of {first}",
    ]


def test_a_changed_token_that_breaks_no_rule_is_still_found(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None

    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.input_ids[0, 1] = 5 if rows.input_ids[0, 1] != 5 else 6

    edit_rows(folder, edit)
    manifest.write(folder)
    assert list(verify(folder)) == [
        f"{folder / SHARD} is not what was written: its content hash differs, in bytes that break "
        "no other rule"
    ]


def test_a_changed_token_that_breaks_a_rule_is_named_by_its_row(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None

    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.input_ids[3, 1] = header.vocab_size

    edit_rows(folder, edit)
    manifest.write(folder)
    assert list(verify(folder)) == [
        f"{folder / SHARD} is not what was written: its content hash differs",
        f"{folder / SHARD} row 3: an id outside the vocabulary (1 such rows)",
    ]


def test_a_document_in_both_splits_is_named(folder: Path):
    edit_rows(folder, lambda rows, _: rows.document.fill(2 << 20))
    other = folder / "validation/12/part-00000.arrow"
    expected = f"{other} has rows of document {2 << 20}, and so has the train split"
    assert list(verify(folder)) == [expected]


def test_another_tokenizer_beside_the_shards_is_named(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None
    path = folder / "tokenizer" / "tokenizer.json"
    path.parent.mkdir()
    path.write_text("{}")
    files = manifest.files | {"tokenizer/tokenizer.json": record_file(path)}
    replace(manifest, files=files).write(folder)
    assert list(verify(folder)) == [f"{path} is not the tokenizer that made the ids"]
