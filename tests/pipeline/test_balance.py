from pathlib import Path

import pytest

from pipeline.balance import describe
from shards.manifest import FileRecord, Manifest, read_manifest


def manifest(stage: str, counts: dict, config: dict | None = None, files=None) -> Manifest:
    return Manifest(stage=stage, config=config or {}, inputs={}, files=files or {}, counts=counts)


def counts(**changes: int) -> dict[str, int]:
    rows = {
        "rows": 5000,
        "rows_pair": 4000,
        "rows_single": 750,
        "rows_piece": 250,
        "rows_swapped": 2010,
        "tokens_kept": 490_000,
        "real_tokens": 512_000,
        "fewest_rows": 4500,
        "fewest_tokens": 510_000,
        "masked_tokens": 307_200,
        **{f"ngrams_drawn_{n}": number for n, number in ((1, 600), (2, 300), (3, 200))},
        **{f"ngrams_placed_{n}": number for n, number in ((1, 700), (2, 200), (3, 100))},
    }
    return {
        "documents": 1200,
        "validation_documents": 12,
        "empty_documents": 3,
        "short_documents": 4,
        "thinned_documents": 0,
        "short_tokens": 10_000,
        "text_bytes": 2_500_000,
        "sentences": 20_000,
        "tokens": 500_000,
        "unknown_tokens": 50,
        **{f"128/{name}": number for name, number in rows.items()},
    } | changes


def test_the_sheet_of_shards_has_a_column_for_each_source():
    header = {"layout": "pairs", "max_length": 128, "mask_sets": 4}
    empty = dict.fromkeys(counts(), 0)
    balance = {"books": counts(), "none": empty, "all": counts()}
    sheet = describe(
        manifest(
            "pack",
            {"header": header, "max_lengths": [128], "balance": balance, "encoder": ["columnar"]},
            files={
                "train/128/part-00000.arrow": FileRecord(1_000_000, 0, ""),
                "validation/128/part-00000.arrow": FileRecord(536_000, 0, ""),
                "tokenizer/tokenizer.json": FileRecord(999_999, 0, ""),
            },
        )
    )
    assert sheet.splitlines() == [
        "                             books    none       all",
        "documents                    1,200       0     1,200",
        "  held out                      12       0        12",
        "  empty                          3       0         3",
        "  left out, too short            4       0         4",
        "text                        2.5 MB  0.0 kB    2.5 MB",
        "sentences                   20,000       0    20,000",
        "tokens in                  500,000       0   500,000",
        "  in documents too short    2.00 %       -    2.00 %",
        "  unknown                   0.01 %       -    0.01 %",
        "rows of 128 tokens",
        "  number                     5,000       0     5,000",
        "  tokens kept             100.00 %       -  100.00 %",
        "  fill                     80.00 %       -   80.00 %",
        "  fill, at most            88.54 %       -   88.54 %",
        "  two segments             80.00 %       -   80.00 %",
        "  one sentence             15.00 %       -   15.00 %",
        "  cut sentence              5.00 %       -    5.00 %",
        "  swapped pairs            50.25 %       -   50.25 %",
        "  masked a set             15.00 %       -   15.00 %",
        "n-grams in rows of 128 tokens, n =      1      2      3",
        "  drawn                             0.545  0.273  0.182",
        "  placed, books                     0.700  0.200  0.100",
        "  placed, all                       0.700  0.200  0.100",
        "1.5 MB of shards of 128 tokens: 2.40 bytes a slot, 3.00 a real token",
        "words: columnar",
    ]


def test_a_stream_has_no_lines_about_segments_and_masks():
    header = {"layout": "stream", "max_length": 512, "mask_sets": 0}
    rows = {"512/rows": 10, "512/tokens_kept": 490_000, "512/real_tokens": 5120}
    balance = {"all": counts(**rows)}
    sheet = describe(manifest("pack", {"header": header, "max_lengths": [512], "balance": balance}))
    assert "fill" in sheet
    assert not any(word in sheet for word in ("segment", "masked", "swapped", "n-grams", "at most"))


def test_the_sheet_of_a_packed_corpus_tells_what_was_kept(shards_folder: Path):
    found = read_manifest(shards_folder)
    assert found is not None
    lines = [line.split() for line in describe(found).splitlines()]
    assert ["tokens", "kept", *["100.00", "%"] * 3] in lines
    assert ["documents", "336", "60", "396"] in lines


def test_a_tokenizer_is_told_by_its_size_and_special_ids(tokenizer_folder: Path):
    found = read_manifest(tokenizer_folder)
    assert found is not None
    assert describe(found).splitlines()[:2] == [
        "wordpiece vocabulary of 600 entries",
        "[PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4",
    ]


def test_a_text_is_told_by_what_was_written_dropped_and_cleaned():
    fetched = {
        "documents": 1234,
        "text_bytes": 5_600_000,
        "dropped": {"redirects": 1000, "empty pages": 2},
        "cleaned": {},
    }
    assert describe(manifest("fetch", fetched)).splitlines() == [
        "1,234 documents, 5.6 MB of text",
        "dropped: redirects 1,000, empty pages 2",
    ]


@pytest.mark.parametrize("stage", ["fetch", "tokenize", "pack"])
def test_every_stage_can_be_described(stage: str, text_folder, tokenizer_folder, shards_folder):
    folders = {
        "fetch": text_folder / "books",
        "tokenize": tokenizer_folder,
        "pack": shards_folder,
    }
    found = read_manifest(folders[stage])
    assert found is not None
    assert describe(found)
