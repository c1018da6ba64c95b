"""Rows that break a rule of the format, in files that are as recorded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.format import Rows, ShardHeader, mask_budget
from shards.manifest import read_manifest
from shards.reader import open_shard
from shards.rules import BLOCK_SLOTS, check_rows
from shards.verify import verify
from tests.shards.damage import SHARD, Edit, edit_rows, record

PAIR, SINGLE = 2, 1


def set_bit(rows: Rows, row: int, position: int, which: int = 0) -> None:
    size = rows.masks.shape[1] // 2
    rows.masks[row, which * size + position // 8] |= 1 << (position % 8)


def row_problem(folder: Path, row: int, rule: str, count: int = 1) -> list[str]:
    return [f"{folder / SHARD} row {row}: {rule} ({count} such rows)"]


def no_cls(rows: Rows, header: ShardHeader) -> None:
    rows.input_ids[PAIR, 0] = 9


def no_last_sep(rows: Rows, header: ShardHeader) -> None:
    rows.input_ids[SINGLE, rows.length[SINGLE] - 1] = 9


def no_middle_sep(rows: Rows, header: ShardHeader) -> None:
    rows.input_ids[PAIR, rows.second_start[PAIR] - 1] = 9


def id_outside(rows: Rows, header: ShardHeader) -> None:
    rows.input_ids[PAIR, 1] = header.vocab_size


def bad_padding(rows: Rows, header: ShardHeader) -> None:
    rows.input_ids[PAIR, rows.length[PAIR]] = 9


def bad_label(rows: Rows, header: ShardHeader) -> None:
    rows.sentence_order_label[PAIR] = 2


def label_without_pair(rows: Rows, header: ShardHeader) -> None:
    rows.sentence_order_label[SINGLE] = 0


def pair_without_label(rows: Rows, header: ShardHeader) -> None:
    rows.sentence_order_label[PAIR] = 255


def special(token: str) -> Edit:
    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.masks[4] = 0
        free = [p for p in range(1, 11) if p not in (rows.second_start[4] - 1,)]
        rows.input_ids[4, free[0]] = getattr(header, f"{token}_token_id")

    return edit


def masked(row: int, place: Callable[[Rows], int], which: int) -> Edit:
    """Mask one position, and no other so that the budget is kept."""

    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.masks[row] = 0
        set_bit(rows, row, int(place(rows)), which)

    return edit


def over_budget(rows: Rows, header: ShardHeader) -> None:
    rows.masks[4] = 0
    free = [position for position in range(1, 11) if position != rows.second_start[4] - 1]
    for position in free[:3]:  # round(0.15 x 12) = 2
        set_bit(rows, 4, position, which=1)


def bit_beyond(rows: Rows, header: ShardHeader) -> None:
    rows.masks[4] = 0
    set_bit(rows, 4, header.max_length, which=1)


ROW_FAULTS = {
    "no [CLS] at the start": (PAIR, no_cls),
    "no [SEP] at the end": (SINGLE, no_last_sep),
    "no [SEP] before the second segment": (PAIR, no_middle_sep),
    "an id outside the vocabulary": (PAIR, id_outside),
    "padding that is not [PAD]": (PAIR, bad_padding),
    "a label that is not 0, 1 or 255": (PAIR, bad_label),
    "a label that does not fit its segments": (SINGLE, label_without_pair),
    "a special token inside the text": (4, special("sep")),
    "mask set 1 is over its budget": (4, over_budget),
    "mask set 1 has bits beyond the row": (4, bit_beyond),
}


@pytest.mark.parametrize(("rule", "row", "edit"), [(k, *v) for k, v in ROW_FAULTS.items()])
def test_each_broken_rule_is_named_alone_with_its_row(folder: Path, rule, row, edit):
    edit_rows(folder, edit)
    assert list(verify(folder)) == row_problem(folder, row, rule)


def test_a_pair_without_label_is_named(folder: Path):
    edit_rows(folder, pair_without_label)
    assert list(verify(folder)) == row_problem(
        folder, PAIR, "a label that does not fit its segments"
    )


@pytest.mark.parametrize("token", ["cls", "sep", "pad", "mask"])
def test_no_special_token_may_stand_inside_a_segment(folder: Path, token: str):
    edit_rows(folder, special(token))
    rule = "[PAD] before the padding" if token == "pad" else "a special token inside the text"
    assert list(verify(folder)) == row_problem(folder, 4, rule)


MASKED_PLACES = {
    "[CLS]": (4, lambda rows: 0),
    "the middle [SEP]": (4, lambda rows: rows.second_start[4] - 1),
    "the last [SEP]": (4, lambda rows: 11),
    "padding": (PAIR, lambda rows: 8),
    "the last of the padding": (PAIR, lambda rows: 11),
}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("row", "place"), MASKED_PLACES.values(), ids=MASKED_PLACES)
def test_a_mask_on_what_is_not_text_is_named_with_its_set(folder: Path, row, place, which):
    edit_rows(folder, masked(row, place, which))
    rule = f"mask set {which} covers special tokens or padding"
    assert list(verify(folder)) == row_problem(folder, row, rule)


@pytest.mark.parametrize("length", [0, 1, 2, 13, 65535])
def test_an_impossible_length_is_named_without_a_traceback(folder: Path, length: int):
    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.length[PAIR] = length

    edit_rows(folder, edit)
    assert row_problem(folder, PAIR, "a length outside 3 to the width")[0] in verify(folder)


@pytest.mark.parametrize("second", [0, 1, 2, 7, 9, 12, 13, 65535])
def test_a_second_segment_out_of_place_is_named(folder: Path, second: int):
    """Row 2 has 8 tokens: B may begin at 3 to 6; 8 would say that there is none."""

    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.second_start[PAIR] = second

    edit_rows(folder, edit)
    assert row_problem(folder, PAIR, "a second segment out of place")[0] in verify(folder)


def test_the_first_of_several_wrong_rows_is_named_with_their_number(folder: Path):
    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.input_ids[[1, 3, 4], 0] = 9

    edit_rows(folder, edit)
    assert list(verify(folder)) == row_problem(folder, 1, "no [CLS] at the start", count=3)


def test_a_row_far_into_a_shard_is_named_by_its_number(folder: Path, make_rows):
    header, _ = open_shard(folder / SHARD)
    size = BLOCK_SLOTS // header.max_length
    rows = make_rows(header, [5] * (size + 10))
    rows.input_ids[[size + 3, size + 5], 0] = 9
    rows.input_ids[7, 1] = header.vocab_size
    record(folder, SHARD, header, rows)
    assert list(verify(folder)) == [
        *row_problem(folder, 7, "an id outside the vocabulary"),
        *row_problem(folder, size + 3, "no [CLS] at the start", count=2),
    ]


def test_a_document_that_no_source_has_is_named(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None
    counts = manifest.counts | {"sources": [{"name": "text", "documents": 3 << 20}]}
    replace(manifest, counts=counts).write(folder)

    def edit(rows: Rows, header: ShardHeader) -> None:
        rows.document[PAIR] = 3 << 20

    edit_rows(folder, edit)
    problems = list(verify(folder))
    assert len(problems) == 1
    assert problems[0].startswith(f"{folder / SHARD} row {PAIR}: ")


def test_all_problems_are_found_in_one_go(folder: Path):
    edit_rows(folder, no_cls)
    (folder / "train/12/part-00001.arrow").unlink()
    (folder / "foreign").write_text("x")
    assert len(list(verify(folder))) == 3


@pytest.mark.parametrize("layout", ["pairs", "segments", "stream"])
@given(data=st.data())
def test_rows_of_random_numbers_are_checked_without_a_traceback(make_header, layout: str, data):
    header = make_header(layout=layout, mask_sets=0 if layout == "stream" else 2)
    random = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    top = data.draw(st.sampled_from([3, 14, 70, 65535]))
    rows = Rows(
        random.integers(0, top, (4, 12)).astype(np.uint16),
        random.integers(0, top, 4).astype(np.uint16),
        random.integers(0, top, 4).astype(np.uint16),
        random.integers(0, 256, 4).astype(np.uint8),
        random.integers(0, 256, (4, 2 * header.mask_sets)).astype(np.uint8),
        random.integers(0, top, 4).astype(np.uint32),
    )
    for problem, wrong in check_rows(header, rows):
        assert problem
        assert wrong.shape == (4,)


def test_the_mask_budget_is_rounded_half_up():
    lengths = np.array([3, 4, 10, 30, 50, 128])
    assert mask_budget(lengths, 0.15).tolist() == [0, 1, 2, 5, 8, 19]
