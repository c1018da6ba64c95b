import contextlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from train.inference.texts import count_texts, read_texts, read_whole

LINE = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)
TEXTS = st.lists(LINE.filter(str.strip), min_size=1, max_size=5)
AGAIN = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(TEXTS)
@AGAIN
def test_every_kind_of_file_gives_its_texts_back(tmp_path, texts):
    lines, records, table = (tmp_path / name for name in ("a.txt", "a.jsonl", "a.parquet"))
    lines.write_text("\n".join(texts) + "\n", encoding="utf-8-sig")
    records.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pq.write_table(pa.table({"text": texts}), table)
    for path in (lines, records, table):
        expected = [text.removeprefix("\ufeff") for text in texts] if path == lines else texts
        assert list(read_texts(path)) in (expected, texts)
        assert count_texts(path) == len(texts)


def test_a_whole_file_keeps_its_lines(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo")
    assert read_whole(tmp_path / "a.txt") == "one\n\ntwo"


def test_the_texts_of_a_table_are_the_lines_of_a_whole(tmp_path):
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "a.parquet")
    (tmp_path / "a.JSONL").write_text('{"text": "one"}\n{"text": "two"}\n')
    for name in ("a.parquet", "a.JSONL"):
        assert read_whole(tmp_path / name) == "one\ntwo"


def test_a_blank_line_of_a_text_file_is_no_text(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\n \nthree\n\n")
    assert list(read_texts(tmp_path / "a.txt")) == ["one", "three"]
    assert read_whole(tmp_path / "a.txt") == "one\n\n \nthree\n\n"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b'{"text": "one"}\n{"text": " "}\n', "text 2 of .*a.jsonl is empty"),
        ("a.txt", b" \n\n", "a.txt holds no text"),
        ("a.txt", b"", "a.txt holds no text"),
        ("a.txt", b"caf\xe9", "a.txt is not UTF-8"),
        ("a.jsonl", b'{"text": "one"}\nno\n', "a.jsonl, line 2 is not JSON"),
        ("a.jsonl", b'{"title": "one"}\n', "a.jsonl, line 1 has no text in 'text'"),
        ("a.jsonl", b"[1]\n", "a.jsonl, line 1 has no text in 'text'"),
        ("a.parquet", b"PAR1", "a.parquet is no whole Parquet file"),
        ("a.json", b'{"text": "one"}', "a.json is one document of JSON: write a .jsonl"),
        ("a.txt.gz", b"\x1f\x8b", "a.txt.gz is compressed: unpack it first"),
        ("a.jsonl", b"[" * 100_000, "a.jsonl, line 1 is not JSON"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        list(read_texts(tmp_path / name))


@pytest.mark.parametrize("name", ["a.json", "a.txt.bz2"])
def test_a_whole_file_that_is_no_text_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(DataError, match=r"write a \.jsonl|unpack it first"):
        read_whole(tmp_path / name)


def test_a_parquet_that_is_cut_or_flipped_anywhere_is_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["Conder el fi in no " * 9] * 40}), path)
    whole = path.read_bytes()
    for place in range(4, len(whole) - 1, max(1, len(whole) // 120)):
        for broken in (whole[:place], whole[:place] + b"\xff\xff" + whole[place + 2 :]):
            path.write_bytes(broken)
            with contextlib.suppress(DataError):
                list(read_texts(path))


def test_a_table_whose_page_is_spoilt_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["Conder el fi in no " * 9] * 40}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + b"\xff" * 40 + whole[44:])
    with pytest.raises(DataError, match=r"a\.parquet is no whole Parquet file") as caught:
        list(read_texts(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.txt", "none.parquet"])
def test_a_missing_file_is_named(tmp_path, name):
    assert count_texts(tmp_path / name) is None
    with pytest.raises(DataError, match="no file at"):
        list(read_texts(tmp_path / name))


@pytest.mark.parametrize(
    ("columns", "problem"),
    [({"title": ["one"]}, "no column 'text'"), ({"text": ["one", None]}, "NoneType in 'text'")],
)
def test_a_table_without_texts_is_named(tmp_path, columns, problem):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=problem):
        list(read_texts(tmp_path / "a.parquet"))
