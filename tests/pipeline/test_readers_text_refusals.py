"""One's own text that cannot be read: each fault is named with its file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import FetchConfig
from pipeline.readers import records, text, txt
from shards.errors import DataError
from tests.pipeline.text_files import PACK, read


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"text": "a"}\n{"text"', r"x\.jsonl, line 2 is not JSON"),
        ("[1]", r"line 1 is no JSON object but '\[1\]'"),
        ('{"body": "a"}', r"line 1 has the fields \['body'\].*--text-field"),
        ('{"text": "a"}\n' + "[" * 200_000, r"x\.jsonl, line 2 is nested too deep"),
        ('{"text": 3}', 'line 1 has a field "text" of type int'),
    ],
)
def test_a_bad_json_line_is_named(tmp_path, content, problem):
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=problem):
        read(path)


@pytest.mark.parametrize("suffix", ["", *PACK])
@pytest.mark.parametrize("largest", [1, 1 << 20])
@pytest.mark.parametrize("sent", [10, 1000])
def test_a_line_too_large_is_named(tmp_path, monkeypatch, suffix, largest, sent):
    monkeypatch.setattr(text, "LARGEST_PART", largest)
    monkeypatch.setattr(text, "SENT_BYTES", sent)
    content = b'{"text": "a"}\n' * 7 + b'{"text": "' + b"a" * 9000 + b'"}\n'
    path = tmp_path / f"x.jsonl{suffix}"
    path.write_bytes(PACK[suffix](content) if suffix else content)
    assert len(read(path, FetchConfig(max_member_size=5000))[0]) == 8
    monkeypatch.setattr(records, "LARGEST_TEXT", 5000)
    with pytest.raises(DataError, match=r"x\.jsonl.*, line 8 holds more than 5,000 bytes: divide"):
        read(path)


@pytest.mark.parametrize("content", ["a" * 9000, "é" * 3000])
@pytest.mark.parametrize("column", ["text", "title"])
def test_a_row_too_large_is_named(tmp_path, monkeypatch, content, column):
    path = tmp_path / "x.parquet"
    fields = {"id": ["1", "2", "3"], "text": ["a"] * 3, "title": ["b"] * 3}
    fields[column][1] = content
    pq.write_table(pa.table(fields), path)
    assert len(read(path)[0]) == 3
    monkeypatch.setattr(records, "LARGEST_TEXT", 5000)
    with pytest.raises(DataError, match=r"x\.parquet, row 2 holds more than 5,000 bytes: divide"):
        read(path)


@pytest.mark.parametrize("column", ["id", "title"])
@pytest.mark.parametrize(
    "kind", [pa.timestamp("us"), pa.timestamp("ms"), pa.date64(), pa.duration("s"), pa.time64("us")]
)
def test_times_that_do_not_fit_are_named(tmp_path, column, kind):
    path = tmp_path / "x.parquet"
    times = pa.array([1 << 62], pa.int64()).view(kind)
    pq.write_table(pa.table({"text": ["a"], column: times}), path)
    with pytest.raises(DataError, match=rf'x\.parquet has a column "{column}" with a value'):
        read(path)


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("largest", [1, 1 << 20])
@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_a_compressed_file_cut_anywhere_is_named(tmp_path, monkeypatch, suffix, largest, kind):
    monkeypatch.setattr(text, "LARGEST_PART", largest)
    path = tmp_path / f"x.{kind}{suffix}"
    whole = PACK[suffix](b"".join(b'{"text": "%d"}\n' % number for number in range(100)))
    for size in range(0, len(whole), 10):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"x\.{kind}\{suffix} is truncated or damaged"):
            read(path)


def test_a_parquet_without_text_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a"], "body": ["b"]}), path)
    with pytest.raises(DataError, match=r"x\.parquet has the fields \['body', 'id'\]"):
        read(path)


def test_a_parquet_cut_anywhere_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100}), path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 10):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet"):
            read(path)


def test_a_binary_txt_is_named(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(DataError, match=r"x\.txt is not text"):
        read(path)


def test_a_large_wide_txt_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    path.write_text("Some words.\n" * 10, encoding="utf-16")
    assert read(path)[0][0].text.startswith("Some words.")
    monkeypatch.setattr(txt, "PIECE_BYTES", 100)
    with pytest.raises(DataError, match=r"x\.txt is UTF-16 or UTF-32 and larger than 100 bytes"):
        read(path)


@pytest.mark.parametrize("name", ["x.pdf", "x.parquet.gz", "x.gz"])
def test_a_file_of_another_kind_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_text("x")
    with pytest.raises(DataError, match=r"x\..*gz|x\.pdf is none of \.txt, \.jsonl, \.parquet"):
        text.find(path)


def test_a_folder_without_text_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.txt, \.jsonl, \.parquet"):
        text.find(tmp_path)
