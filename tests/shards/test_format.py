import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.format import (
    HEADER_KEY,
    Rows,
    ShardHeader,
    concatenate,
    read_header,
    unpack_masks,
)


def assert_equal(one: Rows, other: Rows) -> None:
    for name, column in vars(one).items():
        assert column.dtype == vars(other)[name].dtype, name
        assert np.array_equal(column, vars(other)[name]), name


@given(st.integers(1, 700), st.integers(1, 9), st.sampled_from([300, 65536, 65537, 1 << 20]))
def test_a_header_is_read_from_its_own_schema(make_header, max_length, mask_sets, vocab_size):
    header = make_header(max_length=max_length, mask_sets=mask_sets, vocab_size=vocab_size)
    assert read_header(header.schema()) == header


@pytest.mark.parametrize(
    ("vocab_size", "kind"), [(65535, np.uint16), (65536, np.uint16), (65537, np.uint32)]
)
def test_ids_take_16_bits_up_to_a_vocabulary_of_65536(make_header, vocab_size, kind):
    assert make_header(vocab_size=vocab_size).id_type is kind


@pytest.mark.parametrize(("max_length", "size"), [(8, 1), (9, 2), (16, 2), (127, 16), (128, 16)])
def test_a_mask_set_has_a_bit_for_each_position(make_header, max_length, size):
    assert make_header(max_length=max_length).mask_bytes == size


def test_the_schema_is_that_of_the_specification(make_header):
    schema = make_header(max_length=12, mask_sets=3).schema()
    assert {field.name: str(field.type) for field in schema} == {
        "input_ids": "fixed_size_list<item: uint16>[12]",
        "length": "uint16",
        "second_start": "uint16",
        "sentence_order_label": "uint8",
        "masks": "fixed_size_list<item: uint8>[6]",
        "document": "uint32",
    }


def with_header(header: ShardHeader, document: object) -> pa.Schema:
    return header.schema().with_metadata({HEADER_KEY: json.dumps(document)})


def fields_of(header: ShardHeader) -> dict[str, object]:
    return json.loads(header.schema().metadata[HEADER_KEY])


def test_a_schema_without_header_is_refused(make_header):
    with pytest.raises(ValueError, match="format version None, this Hearth reads 1"):
        read_header(make_header().schema().remove_metadata())


def test_another_version_is_refused_before_its_fields_are_read(make_header):
    header = make_header()
    with pytest.raises(ValueError, match="format version 2, this Hearth reads 1"):
        read_header(with_header(header, {"format_version": 2, "new": True}))


def test_a_missing_header_field_is_named(make_header):
    header = make_header()
    document = fields_of(header)
    del document["layout"]
    with pytest.raises(ValueError, match="a header whose layout is None"):
        read_header(with_header(header, document))


def test_an_unknown_header_field_is_named(make_header):
    header = make_header()
    with pytest.raises(ValueError, match="a header with the unknown field extra"):
        read_header(with_header(header, fields_of(header) | {"extra": 1}))


def test_columns_that_do_not_fit_the_header_are_refused(make_header):
    wide, narrow = make_header(max_length=16), make_header(max_length=12)
    with pytest.raises(ValueError, match="columns that do not fit the header"):
        read_header(with_header(narrow, fields_of(wide)))


def test_a_header_that_is_no_object_is_a_value_error(make_header):
    with pytest.raises(ValueError, match="header"):
        read_header(with_header(make_header(), []))


@pytest.mark.parametrize("field", ["max_length", "vocab_size", "mask_sets"])
def test_a_header_field_that_is_no_number_is_a_value_error(make_header, field):
    header = make_header()
    with pytest.raises(ValueError, match=field):
        read_header(with_header(header, fields_of(header) | {field: "12"}))


def test_rows_are_taken_by_position_mask_and_slice(make_header, make_rows):
    rows = make_rows(make_header(), [5, 6, 7, 8])
    by_position = rows.take(np.array([3, 1]))
    by_mask = rows.take(np.array([False, True, False, True]))
    by_slice = rows.take(slice(1, 4, 2))
    assert by_position.length.tolist() == [8, 6]
    assert_equal(by_mask, by_slice)


def test_concatenated_pieces_are_the_whole(make_header, make_rows):
    rows = make_rows(make_header(), [5, 6, 7, 8, 9])
    pieces = [rows.take(slice(0, 2)), rows.take(slice(2, 2)), rows.take(slice(2, 5))]
    assert len(concatenate(pieces)) == 5
    assert_equal(concatenate(pieces), rows)


def test_a_mask_set_is_chosen_row_by_row(make_header, make_rows):
    header = make_header(max_length=12, mask_sets=3)
    rows = make_rows(header, [12, 11, 10, 9])
    which = np.array([2, 0, 1, 2])
    expected = [rows.masks[row, 2 * one : 2 * one + 2] for row, one in enumerate(which)]
    assert np.array_equal(rows.mask_set(which, header), np.stack(expected))


def test_bit_i_mod_8_of_byte_i_div_8_is_position_i():
    packed = np.array([[0b00000101, 0b00000010], [0, 0b10000000]], np.uint8)
    unpacked = unpack_masks(packed, 12)
    assert unpacked.dtype == np.bool_
    assert [np.flatnonzero(row).tolist() for row in unpacked] == [[0, 2, 9], []]


@given(
    st.integers(1, 40).flatmap(
        lambda width: st.lists(st.booleans(), min_size=width, max_size=width)
    )
)
def test_unpacked_masks_are_what_was_packed(chosen: list[bool]):
    packed = np.packbits(np.array([chosen]), axis=1, bitorder="little")
    assert unpack_masks(packed, len(chosen)).tolist() == [chosen]
