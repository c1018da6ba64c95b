"""The same input gives the same bytes, whoever works on it and whenever."""

import os
from dataclasses import replace

import numpy as np
import pytest

from pipeline import documents
from pipeline.documents import open_part
from pipeline.pack import pack
from shards.manifest import read_manifest
from shards.verify import verify
from tests.pipeline.pack.packing import CONFIG, content, rows_of


def test_two_workers_make_the_same_bytes(tmp_path, sources, packed, tokenizer_folder):
    outcome = pack(sources, tokenizer_folder, tmp_path, CONFIG, workers=2)
    assert not outcome.was_finished
    assert content(tmp_path) == content(packed)
    manifest = read_manifest(packed)
    assert manifest is not None
    assert outcome.manifest.fingerprint() == manifest.fingerprint()
    assert outcome.manifest.counts == manifest.counts


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
        rows = rows_of(out, "train")
        columns = [column.reshape(len(rows), -1) for column in vars(rows).values()]
        found.append(sorted(np.concatenate(columns, axis=1, dtype=np.int64).tolist()))
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
