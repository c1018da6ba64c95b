import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from cli import main
from pipeline.balance import describe
from pipeline.config import PackConfig
from pipeline.encode import load_tokenizer
from pipeline.inspect import inspect_shards, source_of
from pipeline.inspect_config import InspectConfig
from pipeline.pack import pack
from shards.errors import DataError
from shards.format import unpack_masks
from shards.reader import ShardFolder
from shards.verify import verify

FIRST_LINE = re.compile(
    r"row \d+: document \d+ of \w+, \d+ tokens"
    r"(, (original order|swapped|one segment|two segments))?"
)
SPECIAL = re.compile(r"\[(CLS|SEP)\]")


def rows_shown(folder: Path, count: int, **options) -> list[str]:
    """Return what is shown after the balance sheet and the line that names the rows."""
    return list(inspect_shards(folder, InspectConfig(rows=count, **options)))[2:]


def heads(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("row ")]


def letters(text: str) -> str:
    return SPECIAL.sub("", text).replace(" ", "")


def test_the_balance_sheet_comes_first(shards_folder: Path):
    manifest = ShardFolder(shards_folder, "train").manifest
    assert next(inspect_shards(shards_folder)) == describe(manifest)


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
        f"row {number}: document {rows.document[number]} of books, {rows.length[number]} tokens, "
        f"{labels[int(rows.sentence_order_label[number])]}"
        for number in range(3)
    ]
    assert [line for line in rows_shown(shards_folder, 3) if line.startswith("row ")] == expected


def test_a_pair_has_two_lines_and_a_single_segment_one(shards_folder: Path):
    lines = rows_shown(shards_folder, 50)
    places = [number for number, line in enumerate(lines) if line.startswith("row ")]
    for head, following in zip(places, [*places[1:], len(lines)], strict=True):
        assert following - head - 1 == (1 if "one segment" in lines[head] else 2)


@pytest.mark.parametrize("mask_set", [0, 3])
def test_brackets_hold_what_the_mask_set_covers(shards_folder: Path, mask_set: int):
    shards = ShardFolder(shards_folder, "train")
    tokenizer = load_tokenizer(shards_folder / "tokenizer" / "tokenizer.json")
    rows = shards.gather(np.arange(20))
    masks = unpack_masks(rows.mask_set(np.full(20, mask_set), shards.header), 64)
    text = "\n".join(rows_shown(shards_folder, 20, mask_set=mask_set))
    shown = "".join(re.findall(r"\[\[(.*?)\]\]", text))
    expected = "".join(
        tokenizer.decode(ids[one].tolist()) for ids, one in zip(rows.input_ids, masks, strict=True)
    )
    assert letters(shown) == letters(expected)


def test_the_text_shown_is_the_text_packed(shards_folder: Path):
    shards = ShardFolder(shards_folder, "train")
    tokenizer = load_tokenizer(shards_folder / "tokenizer" / "tokenizer.json")
    rows = shards.gather(np.arange(5))
    shown = "".join(line for line in rows_shown(shards_folder, 5) if not line.startswith("row "))
    expected = "".join(
        tokenizer.decode(ids[:length].tolist())
        for ids, length in zip(rows.input_ids, rows.length, strict=True)
    )
    assert letters(shown.replace("[[", "").replace("]]", "")) == letters(expected)


def test_the_borders_are_shown(shards_folder: Path):
    lines = [line.strip() for line in rows_shown(shards_folder, 20)]
    for head, following in pairwise(lines):
        assert following.startswith("[CLS] ") == head.startswith("row ")
    assert all(line.endswith(" [SEP]") for line in lines if not line.startswith("row "))


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_colours_stand_for_brackets_and_change_no_text(
    tmp_path: Path, text_folder, folders, kind: str
):
    config = PackConfig(max_length=(32,), mask_sets=1)
    pack(text_folder, folders[kind], tmp_path, config, workers=1)
    assert list(verify(tmp_path)) == []
    chosen = InspectConfig(rows=30)
    plain = "\n".join(inspect_shards(tmp_path, chosen))
    coloured = "\n".join(inspect_shards(tmp_path, chosen, in_colour=True))
    masked = click.style("|", fg="black", bg="yellow").split("|")
    assert coloured.count(masked[0]) == plain.count("[[") > 30
    for colour, bracket in zip(masked, ("[[", "]]"), strict=True):
        coloured = coloured.replace(colour, bracket, plain.count(bracket))
    assert click.unstyle(coloured).replace("]]", "") == plain.replace("]]", "")


def test_rows_of_the_chosen_split_are_shown(shards_folder: Path):
    held_out = ShardFolder(shards_folder, "validation").gather(np.arange(3))
    lines = heads(rows_shown(shards_folder, 3, split="validation"))
    assert [int(line.split()[3].rstrip(",")) for line in lines] == held_out.document.tolist()


def test_rows_of_one_document_are_shown_alone(shards_folder: Path):
    shards = ShardFolder(shards_folder, "train")
    documents = shards.gather(np.arange(len(shards))).document
    chosen = int(documents[-1])
    lines = heads(rows_shown(shards_folder, 99, document=chosen))
    numbers = [int(re.match(r"row (\d+): document (\d+)", line)[1]) for line in lines]
    assert numbers == np.flatnonzero(documents == chosen).tolist()


def test_a_seed_draws_other_rows_and_always_the_same(shards_folder: Path):
    drawn = rows_shown(shards_folder, 5, seed=1)
    assert drawn == rows_shown(shards_folder, 5, seed=1)
    assert drawn != rows_shown(shards_folder, 5, seed=2)
    assert len(set(heads(drawn))) == 5


@pytest.mark.parametrize("layout", ["segments", "stream"])
def test_other_layouts_and_several_lengths_are_shown(
    tmp_path: Path, text_folder, tokenizer_folder, layout: str
):
    config = PackConfig(max_length=(32, 48), layout=layout)
    pack(text_folder, tokenizer_folder, tmp_path, config, workers=1)
    lines = rows_shown(tmp_path, 5, max_length=48)
    assert all(FIRST_LINE.fullmatch(line) for line in heads(lines))
    assert ("[[" in "".join(lines)) == (layout == "segments")
    _, title, *_ = inspect_shards(tmp_path)
    marks = ", with what mask set 0 of 4 covers marked [[so]]" if layout == "segments" else ""
    count = len(ShardFolder(tmp_path, "train", 32))
    assert title == f"of the {count:,} train rows of 32 tokens{marks}:"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_set": 4}, "has 4 mask sets a row, so there is none of number 4"),
        ({"document": 10**9}, "has no train row of document 1000000000"),
        ({"max_length": 128}, "has rows of 64 tokens"),
    ],
)
def test_what_there_is_not_is_named(shards_folder: Path, options, message: str):
    with pytest.raises(DataError, match=message):
        rows_shown(shards_folder, 1, **options)


def test_a_split_without_rows_is_named(tmp_path: Path, text_folder, tokenizer_folder):
    pack(text_folder, tokenizer_folder, tmp_path, PackConfig(validation_fraction=0), workers=1)
    with pytest.raises(DataError, match="has no validation rows of 128 tokens: choose --split"):
        rows_shown(tmp_path, 1, split="validation")


@pytest.mark.parametrize("flag", ["--rows", "--document", "--mask-set", "--seed"])
def test_a_number_below_0_is_a_wrong_option(shards_folder: Path, flag: str):
    result = CliRunner().invoke(main, ["inspect", str(shards_folder), flag, "-1"])
    assert result.exit_code == 2
    assert f"{flag} -1 is below 0" in result.output


def test_a_path_without_shards_says_what_to_run(tmp_path: Path):
    with pytest.raises(DataError, match=r"no shards at .*: run `python cli.py pack --out"):
        list(inspect_shards(tmp_path))


def test_shards_without_their_tokenizer_are_named(tmp_path: Path, shards_folder: Path):
    shutil.copytree(shards_folder, tmp_path / "shards")
    (tmp_path / "shards" / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"no tokenizer at .*tokenizer\.json") as caught:
        list(inspect_shards(tmp_path / "shards"))
    assert "pack" in caught.value.remedy  # the copy beside the shards is pack's to make


def test_json_has_the_columns_and_the_text_of_each_row(shards_folder: Path):
    result = CliRunner().invoke(main, ["inspect", str(shards_folder), "--rows", "4", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    shards = ShardFolder(shards_folder, "train")
    rows = shards.gather(np.arange(4))
    masks = unpack_masks(rows.mask_set(np.zeros(4, np.int64), shards.header), 64)
    assert document["rows_in_split"] == len(shards)
    assert document["balance"] == shards.manifest.counts["balance"]
    for number, row in enumerate(document["rows"]):
        assert row["row"] == number
        assert row["document"] == rows.document[number]
        assert row["source"] == "books"
        assert row["input_ids"] == rows.input_ids[number, : rows.length[number]].tolist()
        assert len(row["tokens"]) == row["length"] == rows.length[number]
        assert row["masked_positions"] == np.flatnonzero(masks[number]).tolist()
        assert len(row["segments"]) == 2 - (row["second_start"] == row["length"])
        assert not SPECIAL.search("".join(row["segments"]))


def test_json_of_what_there_is_not_is_an_error_and_no_json(tmp_path: Path):
    result = CliRunner().invoke(main, ["inspect", str(tmp_path), "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "run `python cli.py pack --out" in result.stderr


def test_a_document_is_of_the_source_that_its_number_falls_in(shards_folder: Path):
    manifest = ShardFolder(shards_folder, "train").manifest
    first, second = manifest.counts["sources"]
    ends = first["documents"], first["documents"] + second["documents"]
    numbers = (0, ends[0] - 1, ends[0], ends[1] - 1, ends[1])
    found = [source_of(manifest, number) for number in numbers]
    assert found == ["books", "books", "pages", "pages", None]
