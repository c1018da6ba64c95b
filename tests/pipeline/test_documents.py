from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import documents
from pipeline.documents import Document, DocumentWriter, open_part, read_texts
from shards.errors import DataError
from shards.manifest import record_file

DOCUMENTS = st.lists(st.builds(Document, st.text(), st.text(), st.text()), max_size=8)


def write(folder: Path, written: list[Document]) -> DocumentWriter:
    with DocumentWriter(folder) as writer:
        for document in written:
            writer.write(document)
    return writer


def read(folder: Path, writer: DocumentWriter) -> list[Document]:
    tables = [pq.read_table(folder / name) for name in sorted(writer.files)]
    return [Document(**row) for table in tables for row in table.to_pylist()]


@settings(max_examples=30)
@given(DOCUMENTS)
def test_documents_are_read_as_they_were_written(tmp_path_factory, written: list[Document]):
    folder = tmp_path_factory.mktemp("documents")
    writer = write(folder, written)
    assert read(folder, writer) == written
    assert writer.documents == len(written)
    assert writer.text_bytes == sum(len(document.text.encode()) for document in written)


def test_no_documents_make_no_file(tmp_path: Path):
    assert write(tmp_path, []).files == {}
    assert list(tmp_path.iterdir()) == []


def test_parts_and_row_groups_are_cut_by_size(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(documents, "ROW_GROUP_BYTES", 100)
    monkeypatch.setattr(documents, "PART_BYTES", 250)
    written = [Document(str(number), "", "x" * 40) for number in range(20)]
    writer = write(tmp_path, written)
    names = ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert list(writer.files) == names
    assert [file.rows for file in writer.files.values()] == [9, 9, 2]
    groups = [open_part(tmp_path / name).metadata.num_row_groups for name in names]
    assert groups == [3, 3, 1]
    assert read(tmp_path, writer) == written


def test_a_file_is_recorded_as_it_lies_on_disk(tmp_path: Path):
    writer = write(tmp_path, [Document("1", "t", "x")] * 3)
    [(name, record)] = writer.files.items()
    assert record == record_file(tmp_path / name, rows=3)


def test_the_same_documents_make_the_same_bytes(tmp_path: Path):
    written = [Document("1", "t", "x"), Document("2", "u", "y")]
    hashes = {write(tmp_path / name, written).files["part-00000.parquet"].blake3 for name in "ab"}
    assert len(hashes) == 1


def test_an_exception_leaves_no_half_part(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(documents, "ROW_GROUP_BYTES", 10)
    with pytest.raises(KeyboardInterrupt), DocumentWriter(tmp_path) as writer:  # noqa: PT012
        writer.write(Document("1", "", "x" * 20))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_footer_tells_the_size_of_the_text(tmp_path: Path):
    """`pack` divides the work by it; to it come 4 bytes a document, and the page's statistics."""
    write(tmp_path, [Document("1", "", "same text " * 100)] * 50)
    column = open_part(tmp_path / "part-00000.parquet").metadata.row_group(0).column(2)
    assert column.total_uncompressed_size == pytest.approx(50 * 1000, rel=0.05)


def test_the_texts_of_a_row_group_are_read(tmp_path: Path):
    write(tmp_path, [Document("1", "t", "one"), Document("2", "u", "")])
    assert read_texts(tmp_path / "part-00000.parquet", 0) == ["one", ""]


def test_a_missing_part_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet"):
        open_part(tmp_path / "x.parquet")


def test_a_cut_part_is_named(tmp_path: Path):
    write(tmp_path, [Document("1", "t", "one")] * 100)
    path = tmp_path / "part-00000.parquet"
    content = path.read_bytes()
    for size in range(0, len(content), 50):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"part-00000\.parquet cannot be read"):
            read_texts(path, 0)


def test_a_part_of_other_columns_is_named(tmp_path: Path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), path)
    with pytest.raises(DataError) as caught:
        open_part(path)
    assert caught.value.problem == (
        f"{path} has the columns text (string), label (int64); "
        "a part has id, title and text (string)"
    )


def test_a_part_of_other_types_is_named(tmp_path: Path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["1"], "title": [""], "text": [7]}), path)
    with pytest.raises(DataError, match=r"x\.parquet"):
        open_part(path)


def test_a_flipped_byte_is_an_error_or_another_text_but_no_traceback(tmp_path: Path):
    write(tmp_path, [Document(str(n), "t", f"text {n} " * 9) for n in range(30)])
    path = tmp_path / "part-00000.parquet"
    content = path.read_bytes()
    for place in range(4, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            texts = read_texts(path, 0)
        except DataError:
            continue
        assert all(isinstance(text, str) for text in texts)
