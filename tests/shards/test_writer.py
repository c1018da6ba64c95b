from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from shards.files import hash_file
from shards.manifest import FileRecord
from shards.reader import open_shard
from shards.rules import check_rows
from shards.writer import write_shard


@settings(max_examples=40)
@given(data=st.data())
def test_a_shard_is_read_as_it_was_written(tmp_path_factory, make_header, make_rows, data):
    width = data.draw(st.integers(8, 300), "max_length")
    header = make_header(
        max_length=width,
        vocab_size=data.draw(st.sampled_from([60, 65535, 65536, 65537, 1 << 20]), "vocab_size"),
        mask_sets=data.draw(st.integers(1, 5), "mask_sets"),
        mask_probability=data.draw(st.floats(0.01, 0.5), "mask_probability"),
    )
    lengths = data.draw(st.lists(st.integers(3, width), min_size=1, max_size=30), "lengths")
    rows = make_rows(header, lengths, data.draw(st.integers(0, 1000), "seed"))
    path = tmp_path_factory.mktemp("shard") / "part-00000.arrow"

    record = write_shard(path, header, rows)
    found_header, found = open_shard(path)

    assert found_header == header
    for name, column in vars(rows).items():
        assert vars(found)[name].dtype == column.dtype
        assert np.array_equal(vars(found)[name], column)
    assert list(check_rows(header, found)) == []
    status = path.stat()
    assert record == FileRecord(status.st_size, status.st_mtime_ns, hash_file(path), len(rows))


def test_the_same_rows_make_the_same_bytes(tmp_path: Path, make_header, make_rows):
    header = make_header()
    rows = make_rows(header, [5, 12, 7])
    hashes = {write_shard(tmp_path / name, header, rows).blake3 for name in ("a", "b")}
    assert len(hashes) == 1


def test_rows_of_a_wrong_width_leave_no_file(tmp_path: Path, make_header, make_rows):
    rows = make_rows(make_header(), [5, 12, 7])
    with pytest.raises(pa.ArrowInvalid):
        write_shard(tmp_path / "x.arrow", make_header(max_length=16), rows)
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_a_column_cannot_hold_leave_no_file(tmp_path: Path, make_header, make_rows):
    header = make_header()
    rows = replace(make_rows(header, [5, 12]), length=np.array([5, 70_000]))
    with pytest.raises(pa.ArrowInvalid, match="70000 not in range"):
        write_shard(tmp_path / "x.arrow", header, rows)
    assert list(tmp_path.iterdir()) == []


def test_columns_are_aligned_in_the_file(tmp_path: Path, make_header, make_rows):
    header = make_header()
    write_shard(tmp_path / "x.arrow", header, make_rows(header, [5, 12, 7]))
    _, rows = open_shard(tmp_path / "x.arrow")
    for name, column in vars(rows).items():
        assert column.ctypes.data % 8 == 0, name


def test_another_reader_of_arrow_reads_a_shard(tmp_path: Path, make_header, make_rows):
    header = make_header()
    rows = make_rows(header, [5, 12, 7])
    write_shard(tmp_path / "x.arrow", header, rows)
    table = pyarrow.feather.read_table(tmp_path / "x.arrow")
    assert {name: table[name].to_pylist() for name in table.column_names} == {
        name: column.tolist() for name, column in vars(rows).items()
    }


def test_a_shard_is_one_uncompressed_record_batch(tmp_path: Path, make_header, make_rows):
    header = make_header(max_length=4000)
    write_shard(tmp_path / "x.arrow", header, make_rows(header, [4000] * 20))
    with ipc.open_file(tmp_path / "x.arrow") as reader:
        assert reader.num_record_batches == 1
    assert (tmp_path / "x.arrow").stat().st_size > 20 * 4000 * 2
