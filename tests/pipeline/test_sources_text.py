import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents import Document
from pipeline.sources import text
from shards.errors import DataError


def read(path):
    counts = Counter()
    return list(text.documents(path, counts, 1)), counts


def test_a_folder_is_read_whole_in_order(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.jsonl").write_text(
        '\ufeff{"text": "One.", "id": 7, "title": "T"}\n\n{"text": "Two."}\n', encoding="utf-8"
    )
    (tmp_path / "c.txt").write_bytes(b"Caf\xe9.\r\n\r\nBar.")
    pq.write_table(pa.table({"text": ["Three.", None]}), tmp_path / "a.parquet")
    (tmp_path / ".hidden.txt").write_text("Hidden.")
    documents, counts = read(tmp_path)
    assert documents == [
        Document("a.parquet#1", "", "Three."),
        Document("c.txt", "c", "Café.\n\nBar."),
        Document("7", "T", "One."),
        Document("sub/b.jsonl#3", "", "Two."),
    ]
    sizes = sum(path.stat().st_size for path in text.input_files(tmp_path).values())
    assert counts == {
        "dropped: empty texts": 1,
        "cleaned: not UTF-8": 1,
        "input_bytes": sizes,
    }


def test_a_long_txt_becomes_several_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "DOCUMENT_BYTES", 10)
    monkeypatch.setattr(text, "PIECE_BYTES", 16)
    (tmp_path / "long.txt").write_text("One two.\n\nThree.\n\nFour\nfive.\n\nSix.")
    documents, _ = read(tmp_path / "long.txt")
    names = ["long.txt", "long.txt#2", "long.txt#3", "long.txt#4"]
    assert [document.id for document in documents] == names
    assert "\n\n".join(document.text for document in documents) == (
        "One two.\n\nThree.\n\nFour five.\n\nSix."
    )


@given(st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1)))
def test_every_jsonl_text_comes_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    path.write_text("\n".join(json.dumps({"text": one}) for one in texts))
    documents, _ = read(path)
    assert [document.text for document in documents] == texts


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"text": "a"}\n{"text"', r"x\.jsonl, line 2 is not JSON"),
        ("[1]", r"line 1 is no JSON object but '\[1\]'"),
        ('{"body": "a"}', r"line 1 has the fields \['body'\]"),
        ('{"text": "a"}\n' + "[" * 200_000, r"x\.jsonl, line 2 is nested too deep"),
        ('{"text": 3}', 'line 1 has a field "text" of type int'),
    ],
)
def test_a_bad_json_line_is_named(tmp_path, content, problem):
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=problem):
        read(path)


def test_a_lone_surrogate_is_replaced(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a \\ud800", "title": "\\udfff"}')
    assert read(path)[0] == [Document("x.jsonl#1", "\ufffd", "a \ufffd")]


def test_a_parquet_without_text_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a"], "body": ["b"]}), path)
    with pytest.raises(DataError, match=r"x\.parquet has the fields \['body', 'id'\]"):
        read(path)


def test_a_truncated_parquet_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet"):
        read(path)


def test_a_binary_txt_is_named(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(DataError, match=r"x\.txt is not text"):
        read(path)


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "x.pdf"
    path.write_text("x")
    with pytest.raises(DataError, match=r"x\.pdf is none of \.txt, \.jsonl, \.parquet"):
        text.input_files(path)


def test_a_real_book_loses_its_licence(real_data):
    documents, counts = read(real_data / "text" / "botchan.txt")
    assert documents[0].text.startswith("BOTCHAN (MASTER DARLING)")
    assert "START OF" not in documents[0].text
    assert "gutenberg.org" not in documents[0].text
    assert counts["cleaned: Project Gutenberg books"] == 1
    assert 19_000 < counts["dropped: bytes around Project Gutenberg books"] < 21_000
