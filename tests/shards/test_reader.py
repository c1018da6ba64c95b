import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from shards.errors import DataError
from shards.files import write_text
from shards.format import HEADER_KEY, concatenate
from shards.manifest import read_manifest
from shards.reader import ShardFolder, open_shard, read_shard_manifest
from shards.writer import write_shard

FIRST = "train/12/part-00000.arrow"


def refused(path: Path) -> str:
    """Return the problem with which a shard is refused, after checking its form."""
    with pytest.raises(DataError) as caught:
        open_shard(path)
    assert caught.value.problem.startswith(f"{path} is not a whole shard (")
    assert caught.value.remedy == "run the `python cli.py pack` that made the folder again"
    return caught.value.problem


def rewrite(path: Path, batches: int = 1, **options: object) -> None:
    """Write the shard at `path` again, as another program might."""
    with ipc.open_file(pa.BufferReader(path.read_bytes())) as reader:
        batch = reader.get_batch(0)
    with ipc.new_file(path, batch.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for _ in range(batches):
            writer.write_batch(batch)


def test_opening_copies_nothing(tmp_path: Path, make_header, make_rows):
    header = make_header(max_length=128)
    write_shard(tmp_path / "x.arrow", header, make_rows(header, [128] * 2000))
    before = pa.total_allocated_bytes()
    _, rows = open_shard(tmp_path / "x.arrow")
    assert pa.total_allocated_bytes() == before
    assert len(rows) == 2000


def test_the_arrays_of_an_open_shard_are_read_only(folder: Path):
    _, rows = open_shard(folder / FIRST)
    for column in vars(rows).values():
        assert not column.flags.writeable
        assert not column.flags.owndata


def test_an_open_shard_outlives_its_reader(tmp_path: Path, make_header, make_rows):
    header = make_header()
    rows = make_rows(header, [12] * 100)
    write_shard(tmp_path / "x.arrow", header, rows)
    _, found = open_shard(tmp_path / "x.arrow")
    if os.name != "nt":
        (tmp_path / "x.arrow").unlink()
    assert np.array_equal(found.input_ids, rows.input_ids)


def test_a_missing_shard_is_named(tmp_path: Path):
    refused(tmp_path / "x.arrow")


def test_a_folder_in_a_shards_place_is_named(tmp_path: Path):
    refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"not a shard" * 100, b"PAR1" * 20])
def test_a_foreign_file_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "x.arrow").write_bytes(content)
    refused(tmp_path / "x.arrow")


def test_a_parquet_file_is_named(tmp_path: Path):
    pq.write_table(pa.table({"input_ids": [1, 2]}), tmp_path / "x.arrow")
    refused(tmp_path / "x.arrow")


def test_an_arrow_file_of_another_program_is_named(tmp_path: Path):
    table = pa.table({"input_ids": [1, 2]})
    with ipc.new_file(tmp_path / "x.arrow", table.schema) as writer:
        writer.write_table(table)
    assert "format version None" in refused(tmp_path / "x.arrow")


def test_a_shard_cut_anywhere_is_refused(folder: Path):
    path = folder / FIRST
    content = path.read_bytes()
    for size in range(0, len(content), 23):
        path.write_bytes(content[:size])
        refused(path)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_shard_is_opened_or_refused_but_never_a_traceback(
    tmp_path_factory, make_header, make_rows, data
):
    header = make_header()
    path = tmp_path_factory.mktemp("damage") / "x.arrow"
    write_shard(path, header, make_rows(header, [12, 3, 8]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1), "place")] ^= data.draw(
        st.integers(1, 255), "bits"
    )
    path.write_bytes(content)
    with suppress(DataError):
        open_shard(path)


def test_two_record_batches_are_refused(folder: Path):
    rewrite(folder / FIRST, batches=2)
    assert "2 record batches, not 1" in refused(folder / FIRST)


def test_a_compressed_shard_is_refused(folder: Path):
    rewrite(folder / FIRST, compression="zstd")
    refused(folder / FIRST)


def test_another_format_version_is_refused_with_both_numbers(folder: Path):
    path = folder / FIRST
    with ipc.open_file(pa.BufferReader(path.read_bytes())) as reader:
        batch = reader.get_batch(0)
    document = json.loads(batch.schema.metadata[HEADER_KEY]) | {"format_version": 9}
    schema = batch.schema.with_metadata({HEADER_KEY: json.dumps(document)})
    with ipc.new_file(path, schema) as writer:
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    assert "format version 9, this Hearth reads 1" in refused(path)


def test_nulls_are_refused(folder: Path):
    path = folder / FIRST
    with ipc.open_file(pa.BufferReader(path.read_bytes())) as reader:
        batch = reader.get_batch(0)
    lengths = pa.array([None, *batch.column("length").to_pylist()[1:]], pa.uint16())
    columns = [lengths if name == "length" else batch.column(name) for name in batch.schema.names]
    with ipc.new_file(path, batch.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=batch.schema))
    refused(path)


def test_a_folder_is_all_shards_of_one_split(folder: Path):
    assert (len(ShardFolder(folder, "train")), len(ShardFolder(folder, "validation"))) == (9, 2)


def test_a_folder_has_the_header_of_its_shards(folder: Path, make_header):
    assert ShardFolder(folder, "train").header == make_header()


def test_a_split_without_shards_has_no_rows(folder: Path):
    assert len(ShardFolder(folder, "test")) == 0


@given(st.lists(st.integers(0, 10), min_size=1, max_size=30))
def test_gathered_rows_are_those_of_the_joined_shards(three_shards, index: list[int]):
    folder, shards = three_shards
    expected = concatenate(shards).take(np.array(index))
    found = folder.gather(np.array(index))
    for name, column in vars(expected).items():
        assert np.array_equal(vars(found)[name], column)
        assert vars(found)[name].dtype == column.dtype


@pytest.fixture(scope="module")
def three_shards(tmp_path_factory, make_header, make_rows, write_folder):
    header = make_header()
    shards = {
        f"train/12/part-{number:05d}.arrow": make_rows(header, lengths, number)
        for number, lengths in enumerate(([5, 6, 7, 8, 3], [9], [10, 11, 12, 4, 6]))
    }
    path = tmp_path_factory.mktemp("gather")
    write_folder(path, header, shards)
    return ShardFolder(path, "train"), list(shards.values())


def test_gathering_no_rows_gives_no_rows(folder: Path):
    rows = ShardFolder(folder, "train").gather(np.empty(0, np.int64))
    assert (len(rows), rows.input_ids.shape) == (0, (0, 12))


@pytest.mark.parametrize("index", [[-1], [9], [0, 9], [-1, 0], [1 << 40]])
def test_rows_that_are_not_there_are_refused(folder: Path, index: list[int]):
    with pytest.raises(IndexError, match=r"of .*shards, which has 9"):
        ShardFolder(folder, "train").gather(np.array(index))


def test_shards_are_in_the_order_of_their_numbers(tmp_path, make_header, make_rows, write_folder):
    header = make_header()
    names = ["9", "9-1", "9-2", "9-10", "10", "99999", "100000"]
    shards = {
        f"train/12/part-{name.partition('-')[0]:0>5}{''.join(name.partition('-')[1:])}.arrow": (
            make_rows(header, [12] * (1 + number), number)
        )
        for number, name in reversed(list(enumerate(names)))
    }
    write_folder(tmp_path, header, shards)
    assert [len(rows) for rows in ShardFolder(tmp_path, "train").shards()] == list(range(1, 8))


def test_gathered_rows_may_be_written_to(folder: Path):
    rows = ShardFolder(folder, "train").gather(np.array([0]))
    rows.input_ids[0, 0] = 1
    assert ShardFolder(folder, "train").gather(np.array([0])).input_ids[0, 0] != 1


def test_a_path_without_shards_says_what_to_run(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        ShardFolder(tmp_path, "train")
    remedy = f"run `python cli.py pack --out {tmp_path}` first"
    assert (caught.value.problem, caught.value.remedy) == (f"no shards at {tmp_path}", remedy)


def test_a_folder_of_another_stage_is_refused(folder: Path):
    manifest = read_manifest(folder)
    assert manifest is not None
    replace(manifest, stage="tokenize").write(folder)
    with pytest.raises(DataError, match="was made by `tokenize`, not `pack`"):
        read_shard_manifest(folder)


def test_a_missing_shard_of_a_folder_is_named(folder: Path):
    (folder / FIRST).unlink()
    with pytest.raises(DataError, match=r"part-00000\.arrow is not what was packed"):
        ShardFolder(folder, "train")


def test_a_shard_of_another_folder_is_refused(folder: Path, make_header, make_rows):
    """FORMAT.md: all shards of a folder MUST have the same header."""
    other = make_header(max_length=16)
    write_shard(folder / FIRST, other, make_rows(other, [16, 3]))
    with pytest.raises(DataError, match=r"part-00000\.arrow"):
        ShardFolder(folder, "train")


def test_a_manifest_without_header_is_refused(folder: Path):
    path = folder / "manifest.json"
    write_text(path, json.dumps(json.loads(path.read_text()) | {"counts": {}}))
    with pytest.raises(DataError, match="cannot be read: a header that is None, not an object"):
        ShardFolder(folder, "train")


def test_the_header_of_the_manifest_is_that_of_the_shards(folder: Path):
    header, _ = open_shard(folder / FIRST)
    manifest, found = read_shard_manifest(folder)
    assert found == {header.max_length: header}
    assert manifest.counts["header"] == asdict(header)
