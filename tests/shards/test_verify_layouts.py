"""The rules that one layout has and another has not, and folders of several lengths."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shards.format import ShardHeader, make_header
from shards.manifest import read_manifest
from shards.reader import ShardFolder, open_shard
from shards.rules import check_rows
from shards.verify import verify
from shards.writer import write_shard

LENGTHS = [12, 3, 8, 5, 12, 4]


@pytest.fixture
def headers(make_header) -> dict[str, ShardHeader]:
    return {
        "pairs": make_header(),
        "segments": make_header(layout="segments"),
        "stream": make_header(layout="stream", mask_sets=0),
        "without masks": make_header(mask_sets=0),
    }


@pytest.mark.parametrize("kind", ["pairs", "segments", "stream", "without masks"])
@pytest.mark.parametrize("width", [12, 64, 65, 129])
def test_rows_of_each_layout_keep_the_rules(make_rows, headers, kind: str, width: int):
    header = replace(headers[kind], max_length=width)
    rows = make_rows(header, [width, *LENGTHS])
    assert list(check_rows(header, rows)) == []


@pytest.mark.parametrize("kind", ["pairs", "segments", "stream", "without masks"])
def test_a_folder_of_each_layout_is_intact(
    tmp_path: Path, make_rows, write_folder, headers, kind: str
):
    wide = replace(headers[kind], max_length=20)
    shards = {
        "train/12/part-00000.arrow": make_rows(headers[kind], LENGTHS),
        "train/20/part-00000.arrow": make_rows(wide, LENGTHS),
    }
    write_folder(tmp_path, headers[kind], shards)
    assert list(verify(tmp_path)) == []
    assert ShardFolder(tmp_path, "train", 20).header == wide


def problems(header: ShardHeader, rows) -> dict[str, list[int]]:
    return {text: np.flatnonzero(wrong).tolist() for text, wrong in check_rows(header, rows)}


def test_segments_have_no_label(make_rows, headers):
    rows = make_rows(headers["segments"], LENGTHS)
    rows.sentence_order_label[[0, 2]] = 0, 1
    assert problems(headers["segments"], rows) == {"a label that does not fit its segments": [0, 2]}


STREAM_FAULTS = {
    "a length outside 1 to the width": ("length", 3, 13),
    "a second segment out of place": ("second_start", 3, 2),
    "a label in a stream": ("sentence_order_label", 3, 0),
    "an id outside the vocabulary": ("input_ids", (3, 0), 60),
    "padding that is not [PAD]": ("input_ids", (3, 5), 9),
    "[PAD] before the padding": ("input_ids", (3, 2), 0),
    "a special token inside the text": ("input_ids", (3, 2), 2),
}


@pytest.mark.parametrize(("rule", "change"), STREAM_FAULTS.items())
def test_a_stream_has_rules_of_its_own(make_rows, headers, rule: str, change):
    rows = make_rows(headers["stream"], LENGTHS)
    column, place, value = change
    vars(rows)[column][place] = value
    found = problems(headers["stream"], rows)
    assert found[rule] == [3]
    assert column == "length" or list(found) == [rule]


def test_a_sep_may_stand_anywhere_in_a_stream(make_rows, headers):
    rows = make_rows(headers["stream"], LENGTHS)
    rows.input_ids[0, [0, 5, 11]] = headers["stream"].sep_token_id
    assert problems(headers["stream"], rows) == {}


def test_a_mask_is_checked_in_the_last_word_of_a_wide_row_too(make_rows, make_header):
    header = make_header(max_length=129)
    rows = make_rows(header, [129, 129, 20])
    rows.masks[0, header.mask_bytes - 1] |= 1  # the last [SEP]
    rows.masks[1, -1] |= 2  # position 129
    rows.masks[2, header.mask_bytes + 5] |= 1  # padding
    found = problems(header, rows)
    assert found["mask set 0 covers special tokens or padding"] == [0]
    assert found["mask set 1 has bits beyond the row"] == [1]
    assert found["mask set 1 covers special tokens or padding"] == [2]


def test_a_shard_in_the_folder_of_another_length_is_named(
    tmp_path: Path, make_rows, write_folder, headers
):
    wide = replace(headers["pairs"], max_length=20)
    shards = {
        "train/12/part-00000.arrow": make_rows(headers["pairs"], LENGTHS),
        "train/20/part-00000.arrow": make_rows(wide, LENGTHS),
    }
    write_folder(tmp_path, headers["pairs"], shards)
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    name = "train/20/part-00000.arrow"
    rows = open_shard(tmp_path / "train/12/part-00000.arrow")[1]
    manifest.files[name] = write_shard(tmp_path / name, headers["pairs"], replace(rows))
    manifest.write(tmp_path)
    assert list(verify(tmp_path)) == [f"{tmp_path / name} has another header than the manifest"]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("max_length", 0, "max_length is 0, not between 1 and 65535"),
        ("max_length", 65536, "max_length is 65536, not between 1 and 65535"),
        ("max_length", True, "max_length is True"),
        ("vocab_size", 0, "vocab_size is 0, not between 1 and 4294967296"),
        ("mask_sets", -1, "mask_sets is -1, not between 0 and 64"),
        ("mask_probability", float("nan"), "mask_probability is nan, not between 0 and 1"),
        ("layout", "rows", "layout is 'rows'"),
        ("layout", "stream", "mask_sets is 2, not between 0 and 0"),
        ("pad_token_id", 60, "special ids .* are not below 60"),
        ("pad_token_id", 2, "special ids .* are not all different"),
    ],
)
def test_a_header_of_impossible_values_is_refused(headers, field: str, value, problem: str):
    with pytest.raises(ValueError, match=problem):
        make_header(vars(headers["pairs"]) | {field: value})
