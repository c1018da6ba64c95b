"""The same input gives the same bytes, whoever works on it and whenever."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import documents, held_rows
from pipeline.choose import SPLITS
from pipeline.documents import open_part
from pipeline.pack import pack
from shards.manifest import read_manifest
from shards.reader import ShardFolder
from shards.verify import verify
from tests.pipeline.pack.packing import CONFIG, LAYOUTS, content


@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_workers_make_the_same_bytes(tmp_path, sources, packed, tokenizer_folder, workers):
    outcome = pack(sources, tokenizer_folder, tmp_path, CONFIG, workers)
    assert not outcome.was_finished
    assert content(tmp_path) == content(packed)
    manifest = read_manifest(packed)
    assert manifest is not None
    assert outcome.manifest.fingerprint() == manifest.fingerprint()
    assert outcome.manifest.counts == manifest.counts


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_bytes_for_one_two_and_four_workers(
    tmp_path, sources, tokenizer_folder, layout
):
    found = []
    for workers in (1, 2, 4):
        out = tmp_path / str(workers)
        pack(sources, tokenizer_folder, out, LAYOUTS[layout], workers)
        assert list(verify(out)) == []
        found.append(content(out))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_do_not_depend_on_how_many_are_made_or_held_at_a_time(
    tmp_path, sources, tokenizer_folder, monkeypatch, layout
):
    """Only the order in which they lie in files does, and into how many files they go."""
    found = []
    for name, made, held in (("much", 1 << 24, 1 << 27), ("little", 2000, 3000)):
        monkeypatch.setattr(held_rows, "MADE_BYTES", made)
        monkeypatch.setattr(held_rows, "HELD_BYTES", held)
        pack(sources, tokenizer_folder, tmp_path / name, LAYOUTS[layout], workers=1)
        assert list(verify(tmp_path / name)) == []
        assert (len(list(tmp_path.glob(f"{name}/train/32/*-[1-9].arrow"))) > 0) == (held == 3000)
        found.append(
            [
                sorted_rows(tmp_path / name, split, length)
                for split in SPLITS
                for length in LAYOUTS[layout].max_length
            ]
        )
    assert found[0] == found[1]


def sorted_rows(folder: Path, split: str, length: int) -> list[list[int]]:
    """Return all columns of all rows side by side, in an order of their own."""
    shards = ShardFolder(folder, split, length)
    if not len(shards):
        return []
    rows = shards.gather(np.arange(len(shards)))
    columns = [column.reshape(len(rows), -1) for column in vars(rows).values()]
    table: list[list[int]] = np.concatenate(columns, axis=1, dtype=np.int64).tolist()
    return sorted(table)


def test_rows_do_not_depend_on_how_the_text_is_divided(
    tmp_path, write_source, prose, tokenizer_folder, monkeypatch
):
    """Neither into row groups, nor these into shards: draws are keyed by the document alone."""
    texts, found, shards = prose(40, 6), [], []
    for name, size in (("whole", 1 << 20), ("divided", 1500)):
        monkeypatch.setattr(documents, "ROW_GROUP_BYTES", size)
        write_source(tmp_path / name / "books", texts)
        out = tmp_path / f"{name}_out"
        pack(tmp_path / name, tokenizer_folder, out, CONFIG, workers=1)
        found.append(sorted_rows(out, "train", 32))
        shards.append(len(list(out.glob("train/32/*.arrow"))))
    assert found[0] == found[1]
    assert (
        shards[0]
        == 1
        < shards[1]
        < open_part(tmp_path / "divided/books/part-00000.parquet").metadata.num_row_groups
    )  # several shards of several row groups


def test_another_seed_makes_other_bytes(tmp_path, sources, packed, tokenizer_folder):
    pack(sources, tokenizer_folder, tmp_path, replace(CONFIG, seed=4), workers=1)
    one, other = content(packed), content(tmp_path)
    assert all(one[name] != other[name] for name in one if name.startswith("train/"))


def test_a_second_run_finds_it_done_and_touches_nothing(sources, packed, tokenizer_folder):
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    outcome = pack(sources, tokenizer_folder, packed, CONFIG, workers=1)
    assert outcome.was_finished
    assert outcome.manifest == read_manifest(packed)
    assert {path: path.stat().st_mtime_ns for path in packed.rglob("*")} == before


@pytest.mark.parametrize("damage", ["delete", "cut", "flip"])
def test_a_damaged_shard_is_made_again(copy, packed, sources, tokenizer_folder, damage):
    path = copy / "train/32/part-00001.arrow"
    whole = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(whole[:-9] if damage == "cut" else whole[:-9] + b"x" + whole[-8:])
        os.utime(path, ns=(1, 1))
    outcome = pack(sources, tokenizer_folder, copy, CONFIG, workers=1)
    assert not outcome.was_finished
    assert content(copy) == content(packed)
    assert list(verify(copy)) == []
