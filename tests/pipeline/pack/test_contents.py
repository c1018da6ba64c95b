"""What `pack` makes: every token, whole documents, and a manifest that adds up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.documents import read_texts
from pipeline.encode import Encoder, encode_documents, load_tokenizer
from pipeline.pack import pack
from pipeline.texts import text_sources
from shards.format import NO_LABEL, concatenate
from shards.manifest import read_manifest
from shards.reader import ShardFolder, open_shard
from shards.verify import verify
from tests.pipeline.pack.packing import CONFIG, SOURCES, content, rows_of
from tests.pipeline.tiling import can_tile, restore


def texts_of(folder: Path) -> list[str]:
    """Return all texts in the order in which documents are numbered."""
    return [
        text
        for source in text_sources(folder)
        for group in source.row_groups()
        for text in read_texts(group)
    ]


def test_an_intact_folder_is_made(packed: Path):
    assert list(verify(packed)) == []


def test_the_shared_folder_is_intact(shards_folder: Path):
    assert list(verify(shards_folder)) == []


def test_a_source_of_several_row_groups_is_several_shards(shards_folder: Path):
    manifest = read_manifest(shards_folder)
    assert manifest is not None
    names = [name for name in manifest.files if name.startswith("train/")]
    assert sorted(names) == [f"train/64/part-{number:05d}.arrow" for number in range(3)]


def test_every_token_is_kept(shards_folder: Path):
    manifest = read_manifest(shards_folder)
    assert manifest is not None
    for counts in manifest.counts["balance"].values():
        assert counts["64/tokens_kept"] == counts["tokens"] > 0


def test_documents_are_restored_from_the_shards(packed: Path, sources: Path):
    encoder = Encoder(load_tokenizer(packed / "tokenizer" / "tokenizer.json"))
    texts = texts_of(sources)
    restored = restore(concatenate([rows_of(packed, "train"), rows_of(packed, "validation")]))
    for number, text in enumerate(texts):
        tokens = encode_documents(encoder, [text]).input_ids.tolist()
        assert can_tile(tokens, restored.pop(number, []))
    assert restored == {}


def test_each_split_holds_whole_documents(packed: Path, shards_folder: Path):
    for folder in (packed, shards_folder):
        train, validation = (
            set(rows_of(folder, split).document.tolist()) for split in ("train", "validation")
        )
        assert train
        assert validation
        assert not train & validation


def test_equal_texts_are_on_the_same_side(tmp_path, write_source, prose, tokenizer_folder):
    texts = prose(30, 4)
    for name in ("one", "two"):
        write_source(tmp_path / "text" / name, texts)
    config = replace(CONFIG, validation_fraction=0.5)
    pack(tmp_path / "text", tokenizer_folder, tmp_path / "out", config, workers=1)
    held_out = set(rows_of(tmp_path / "out", "validation").document.tolist())
    assert 0 < len(held_out) < 60
    assert held_out == {(number + 30) % 60 for number in held_out}


def test_equal_texts_of_two_sources_are_packed_differently(packed, write_source, tmp_path, prose):
    """Their draws are keyed by source and number: a repeated text is not a repeated row."""
    texts = prose(10, 4)
    for name in ("one", "two"):
        write_source(tmp_path / "text" / name, texts)
    config = replace(CONFIG, validation_fraction=0)
    pack(tmp_path / "text", packed / "tokenizer", tmp_path / "out", config, workers=1)
    rows = rows_of(tmp_path / "out", "train")
    halves = [rows.take(rows.document < 10), rows.take(rows.document >= 10)]
    distinct = [set(map(bytes, half.masks)) for half in halves]
    assert len(distinct[0] & distinct[1]) < 0.2 * len(distinct[0])


def test_without_a_validation_fraction_nothing_is_held_out(tmp_path, sources, tokenizer_folder):
    config = replace(CONFIG, validation_fraction=0)
    pack(sources, tokenizer_folder, tmp_path, config, workers=1)
    assert not (tmp_path / "validation").exists()
    assert len(ShardFolder(tmp_path, "validation")) == 0


def test_rows_are_shuffled_inside_a_shard(shards_folder: Path):
    _, rows = open_shard(shards_folder / "train/64/part-00000.arrow")
    document = rows.document.astype(float)
    assert abs(np.corrcoef(np.arange(len(rows)), document)[0, 1]) < 0.08  # 4 sigma


def test_labels_are_balanced(shards_folder: Path):
    label = rows_of(shards_folder, "train").sentence_order_label
    pairs = label != NO_LABEL
    share = (label[pairs] == 1).mean()
    assert share == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(pairs.sum()))


def test_the_folder_holds_what_the_format_says_and_nothing_else(packed: Path):
    numbers = range(len(SOURCES))
    shards = {f"train/32/part-{number:05d}.arrow" for number in numbers}
    held_out = {name.replace("train", "validation") for name in shards}
    tokenizer = {"tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"}
    assert set(content(packed)) - held_out == shards | tokenizer
    assert not (packed / ".unfinished").exists()


def test_the_manifest_tells_how_it_was_made(packed: Path, sources: Path, tokenizer_folder: Path):
    manifest = read_manifest(packed)
    assert manifest is not None
    assert (manifest.stage, manifest.config) == ("pack", CONFIG.plain())
    assert set(manifest.inputs) == {*SOURCES, "tokenizer"}
    assert set(manifest.versions) == {"tokenizers", "sentencex", "numpy", "pyarrow"}
    documents = [{"name": name, "documents": 14} for name in sorted(SOURCES)]
    assert manifest.counts["sources"] == documents
    assert manifest.damaged(packed) == []


def test_the_balance_sheet_adds_up(packed: Path):
    manifest = read_manifest(packed)
    assert manifest is not None
    balance = manifest.counts["balance"]
    assert list(balance) == [*sorted(SOURCES), "all"]
    every = balance["all"]
    for name, number in every.items():
        assert number == sum(balance[source].get(name, 0) for source in SOURCES), name
    rows = concatenate([rows_of(packed, "train"), rows_of(packed, "validation")])
    own = {name.removeprefix("32/"): number for name, number in every.items()}
    assert own["rows"] == len(rows) == own["train_rows"] + own["validation_rows"]
    assert own["rows"] == own["rows_pair"] + own["rows_single"] + own["rows_piece"]
    assert own["rows_swapped"] == (rows.sentence_order_label == 1).sum()
    assert own["real_tokens"] == rows.length.sum(dtype=np.int64)
    assert own["masked_tokens"] == np.unpackbits(rows.masks).sum(dtype=np.int64)
    assert every["documents"] == 56
    assert every["empty_documents"] == 4
