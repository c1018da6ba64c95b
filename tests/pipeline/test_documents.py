from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import documents
from pipeline.documents import (
    Document,
    DocumentWriter,
    RowGroup,
    open_part,
    read_texts,
    row_groups,
)
from shards.errors import DataError

DOCUMENTS = st.lists(st.builds(Document, st.text(), st.text(), st.text()), max_size=8)


PART = "part-00000.parquet"


def write(folder: Path, written: list[Document]) -> DocumentWriter:
    with DocumentWriter(folder / PART) as writer:
        for document in written:
            writer.write(document)
    return writer


def read(folder: Path) -> list[Document]:
    rows = pq.read_table(folder / PART, columns=["id", "title", "text"]).to_pylist()
    return [Document(**row) for row in rows]


@settings(max_examples=30)
@given(DOCUMENTS)
def test_documents_are_read_as_they_were_written(tmp_path_factory, written: list[Document]):
    folder = tmp_path_factory.mktemp("documents")
    writer = write(folder, written)
    assert not written or read(folder) == written
    assert writer.documents == len(written)
    assert writer.text_bytes == sum(len(document.text.encode()) for document in written)


def test_no_documents_make_no_file(tmp_path: Path):
    write(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_row_groups_are_cut_by_size(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(documents, "ROW_GROUP_BYTES", 100)
    written = [Document(str(number), "", "x" * 40) for number in range(20)]
    write(tmp_path, written)
    groups = row_groups(tmp_path / PART, ())
    assert [group.documents for group in groups] == [3, 3, 3, 3, 3, 3, 2]
    assert read(tmp_path) == written


def test_the_hash_is_that_of_the_text_in_utf_8(tmp_path: Path):
    write(tmp_path, [Document("1", "t", "é")])
    [value] = pq.read_table(tmp_path / PART)["hash"].to_pylist()
    assert value.to_bytes(8, "little") == blake3("é".encode()).digest()[:8]


def test_copies_are_neither_counted_nor_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(documents, "ROW_GROUP_BYTES", 3)
    write(tmp_path, [Document(text, "", text) for text in ("a", "b", "c", "d", "e", "f", "g")])
    groups = row_groups(tmp_path / PART, [1, 2, 4])
    assert [read_texts(group) for group in groups] == [["a"], ["d", "f"], ["g"]]
    assert [group.documents for group in groups] == [1, 2, 1]


def test_the_same_documents_make_the_same_bytes(tmp_path: Path):
    written = [Document("1", "t", "x"), Document("2", "u", "y")]
    for name in "ab":
        write(tmp_path / name, written)
    assert (tmp_path / "a" / PART).read_bytes() == (tmp_path / "b" / PART).read_bytes()


def test_an_exception_leaves_no_half_part(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(documents, "ROW_GROUP_BYTES", 10)
    with pytest.raises(KeyboardInterrupt), DocumentWriter(tmp_path / PART) as writer:  # noqa: PT012
        writer.write(Document("1", "", "x" * 20))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_footer_tells_the_size_of_the_text(tmp_path: Path):
    """`pack` divides the work by it; to it come 4 bytes a document, and the page's statistics."""
    write(tmp_path, [Document("1", "", "same text " * 100)] * 50)
    [group] = row_groups(tmp_path / PART, ())
    assert group.text_bytes == pytest.approx(50 * 1000, rel=0.05)


def test_the_texts_of_a_row_group_are_read(tmp_path: Path):
    write(tmp_path, [Document("1", "t", "one"), Document("2", "u", "")])
    [group] = row_groups(tmp_path / PART, ())
    assert read_texts(group) == ["one", ""]


def test_a_missing_part_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet"):
        open_part(tmp_path / "x.parquet")


def test_a_cut_part_is_named(tmp_path: Path):
    write(tmp_path, [Document("1", "t", "one")] * 100)
    path = tmp_path / PART
    content = path.read_bytes()
    for size in range(0, len(content), 50):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"part-00000\.parquet cannot be read"):
            read_texts(RowGroup(path, 0, 1, 1))


def test_a_part_of_other_columns_is_named(tmp_path: Path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), path)
    with pytest.raises(DataError) as caught:
        open_part(path)
    assert caught.value.problem == (
        f"{path} has the columns text (string), label (int64); a part has id, title, hash and text"
    )


def test_a_part_of_other_types_is_named(tmp_path: Path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["1"], "title": [""], "text": [7]}), path)
    with pytest.raises(DataError, match=r"x\.parquet"):
        open_part(path)


def test_a_flipped_byte_is_an_error_or_another_text_but_no_traceback(tmp_path: Path):
    write(tmp_path, [Document(str(n), "t", f"text {n} " * 9) for n in range(30)])
    path = tmp_path / PART
    content = path.read_bytes()
    for place in range(4, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            texts = read_texts(RowGroup(path, 0, 1, 1))
        except DataError:
            continue
        assert all(isinstance(text, str) for text in texts)
