from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode import decode, decode_member
from shards.errors import DataError

texts = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]))


def with_line_feeds(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(texts)
def test_utf8_is_read_as_it_stands(text):
    counts = Counter()
    assert decode(text.encode(), "x", counts) == with_line_feeds(text)
    assert not counts


@given(texts, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]))
def test_a_byte_order_mark_decides(text, encoding):
    raw = ("\ufeff" + text).encode(encoding)
    assert decode(raw, "x", Counter()) == with_line_feeds(text)


@given(st.binary())
def test_any_bytes_give_text_or_a_data_error(raw):
    counts = Counter()
    try:
        text = decode(raw, "x", counts)
    except DataError:
        assert b"\0" in raw or raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    else:
        assert "\0" not in text
        assert "\r" not in text
        text.encode()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xe9", "café"),
        (b"\x93so\x94 \x80", "“so” €"),  # Windows-1252 proper
        (b"\x81\x8d\x8f\x90\x9d\xff", "\x81\x8d\x8f\x90\x9dÿ"),  # its five holes as Latin-1
    ],
)
def test_other_bytes_are_windows_1252_and_counted(raw, text):
    counts = Counter()
    assert decode(raw, "x", counts) == text
    assert counts == {"cleaned: not UTF-8": 1}


def test_a_binary_file_is_named():
    with pytest.raises(DataError, match=r"picture\.txt is not text: it has a NUL character at 1"):
        decode(b"a\0b", "picture.txt", Counter())


def test_a_broken_wide_encoding_is_named():
    with pytest.raises(DataError, match=r"wide\.txt begins with the mark of utf-16-le"):
        decode(b"\xff\xfea", "wide.txt", Counter())


@pytest.mark.parametrize("raw", [b"a\0b", b"\xff\xfea"])
def test_a_binary_member_of_an_archive_is_counted(raw):
    counts = Counter()
    assert decode_member(raw, counts) is None
    assert counts == {"dropped: binary files": 1}
    assert decode_member(b"text", counts) == "text"
