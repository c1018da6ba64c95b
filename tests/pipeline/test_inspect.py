import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.balance import describe
from pipeline.encode import load_tokenizer
from pipeline.inspect import inspect_shards
from shards.errors import DataError
from shards.format import unpack_masks
from shards.reader import ShardFolder
from shards.verify import verify

FIRST_LINE = re.compile(r"row \d+: document \d+, \d+ tokens, (original order|swapped|one segment)")


def rows_shown(folder: Path, count: int) -> list[str]:
    """Return what is shown after the balance sheet."""
    return list(inspect_shards(folder, count))[1:]


def test_the_balance_sheet_comes_first(shards_folder: Path):
    manifest = ShardFolder(shards_folder, "train").manifest
    assert next(inspect_shards(shards_folder, 1)) == describe(manifest)


def test_as_many_rows_are_shown_as_asked_for(shards_folder: Path):
    lines = [line for line in rows_shown(shards_folder, 7) if line.startswith("row ")]
    assert len(lines) == 7
    assert all(FIRST_LINE.fullmatch(line) for line in lines)


def test_no_rows_are_shown_when_none_are_asked_for(shards_folder: Path):
    assert rows_shown(shards_folder, 0) == []


def test_no_more_rows_are_shown_than_there_are(tmp_path: Path, shards_folder: Path):
    total = len(ShardFolder(shards_folder, "train"))
    assert sum(line.startswith("row ") for line in rows_shown(shards_folder, total + 5)) == total


def test_a_row_is_told_by_its_columns(shards_folder: Path):
    rows = ShardFolder(shards_folder, "train").gather(np.arange(3))
    labels = {0: "original order", 1: "swapped", 255: "one segment"}
    expected = [
        f"row {number}: document {rows.document[number]}, {rows.length[number]} tokens, "
        f"{labels[int(rows.sentence_order_label[number])]}"
        for number in range(3)
    ]
    assert [line for line in rows_shown(shards_folder, 3) if line.startswith("row ")] == expected


def test_a_pair_has_two_lines_and_a_single_segment_one(shards_folder: Path):
    lines = rows_shown(shards_folder, 50)
    heads = [number for number, line in enumerate(lines) if line.startswith("row ")]
    for head, following in zip(heads, [*heads[1:], len(lines)], strict=True):
        assert following - head - 1 == (1 if "one segment" in lines[head] else 2)


def test_brackets_hold_what_mask_set_0_covers(shards_folder: Path):
    shards = ShardFolder(shards_folder, "train")
    tokenizer = load_tokenizer(shards_folder / "tokenizer" / "tokenizer.json")
    rows = shards.gather(np.arange(20))
    masks = unpack_masks(rows.mask_set(np.zeros(20, np.int64), shards.header), 64)
    text = "\n".join(rows_shown(shards_folder, 20))
    shown = "".join(re.findall(r"\[\[(.*?)\]\]", text)).replace(" ", "")
    expected = "".join(
        tokenizer.decode(ids[one].tolist()) for ids, one in zip(rows.input_ids, masks, strict=True)
    )
    assert shown == expected.replace(" ", "")


def test_the_text_shown_is_the_text_packed(shards_folder: Path):
    shards = ShardFolder(shards_folder, "train")
    tokenizer = load_tokenizer(shards_folder / "tokenizer" / "tokenizer.json")
    rows = shards.gather(np.arange(5))
    lines = rows_shown(shards_folder, 5)
    shown = "".join(line for line in lines if not line.startswith("row "))
    expected = "".join(
        tokenizer.decode(ids[:length].tolist())
        for ids, length in zip(rows.input_ids, rows.length, strict=True)
    )
    shown = shown.replace("[[", "").replace("]]", "").replace(" ", "")
    assert shown == expected.replace(" ", "")


def test_shards_of_byte_level_bpe_are_shown_too(tmp_path: Path, text_folder, bpe_folder):
    from pipeline.config import PackConfig
    from pipeline.pack import pack

    pack(text_folder, bpe_folder, tmp_path, PackConfig(max_length=32, mask_sets=1), workers=1)
    assert list(verify(tmp_path)) == []
    assert len([line for line in rows_shown(tmp_path, 4) if line.startswith("row ")]) == 4


def test_a_path_without_shards_says_what_to_run(tmp_path: Path):
    with pytest.raises(DataError, match=r"no shards at .*: run `python cli.py pack --out"):
        list(inspect_shards(tmp_path, 1))


def test_shards_without_their_tokenizer_are_named(tmp_path: Path, shards_folder: Path):
    shutil.copytree(shards_folder, tmp_path / "shards")
    (tmp_path / "shards" / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"no tokenizer at .*tokenizer\.json") as caught:
        list(inspect_shards(tmp_path / "shards", 1))
    assert "pack" in caught.value.remedy  # the copy beside the shards is pack's to make
