import bz2
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.wiki_bz2 import open_bz2
from shards.errors import DataError

CONTENT = random.Random(0).randbytes(350_000)


def ranges(path, step):
    size = path.stat().st_size
    with open_bz2(path) as file:
        return [
            b"".join(file.blocks(start, min(start + step, size))) for start in range(0, size, step)
        ]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("bz2") / "x.bz2"


@pytest.mark.parametrize("step", [1000, 99_999, 10**9])
def test_a_stream_of_many_blocks_is_read_in_ranges(path, step):
    path.write_bytes(bz2.compress(CONTENT, 1))  # blocks of 100 kB
    assert b"".join(ranges(path, step)) == CONTENT
    with open_bz2(path) as file:
        assert len(list(file.blocks(0, path.stat().st_size))) == 4


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 400))
def test_streams_even_empty_ones_are_read_in_ranges(path, contents, step):
    path.write_bytes(b"".join(map(bz2.compress, contents)) or bz2.compress(b""))
    assert b"".join(ranges(path, step)) == b"".join(contents)


def test_a_mark_by_chance_within_a_block_is_no_mark(path):
    # A block lists the byte values in it as bits: these spell out the mark of a block.
    mark = 0x314159265359
    content = bytes(64 + bit for bit in range(48) if mark >> 47 - bit & 1)
    raw = bz2.compress(content)
    path.write_bytes(raw)
    with open_bz2(path) as file:
        assert sum(is_block for _, is_block in file._marks(0)) == 2
    assert ranges(path, len(raw)) == [content]


SMALL = bz2.compress(b"first") + bz2.compress(b"") + bz2.compress(b"second")


@given(st.integers(0, len(SMALL) * 8 - 1), st.integers(1, len(SMALL)))
def test_a_flipped_bit_is_found_or_harmless(path, bit, step):
    raw = bytearray(SMALL)
    raw[bit // 8] ^= 1 << bit % 8
    path.write_bytes(raw)
    try:
        content, problem = b"".join(ranges(path, step)), str(path)
    except DataError as error:
        content, problem = b"firstsecond", error.problem
    assert content == b"firstsecond"
    assert str(path) in problem


@given(st.integers(1, len(SMALL) - 1))
def test_a_truncated_file_is_found_unless_it_ends_with_a_stream(path, size):
    path.write_bytes(SMALL[:size])
    if size in (len(bz2.compress(b"first")), len(bz2.compress(b"first") + bz2.compress(b""))):
        assert ranges(path, 10**9) == [b"first"]
        return
    with pytest.raises(DataError, match=r"truncated or damaged|no \.bz2 file"):
        ranges(path, 10**9)


@pytest.mark.parametrize("raw", [SMALL + b"\0", b"PK\3\4" + SMALL, b"BZh0" + SMALL[4:]])
def test_bytes_that_are_no_bzip2_are_named(path, raw):
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"damaged at or after byte|is no \.bz2 file"):
        ranges(path, 10**9)


def test_an_empty_file_is_named(path):
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"), open_bz2(path):
        pass


@pytest.mark.parametrize("contents", [[CONTENT], [b"ab"] * 40, [CONTENT, b"", b"c"], [b""]])
def test_the_end_of_the_content_is_read_without_the_rest(path, contents):
    path.write_bytes(b"".join(bz2.compress(content, 1) for content in contents))
    with open_bz2(path) as file:
        end = file.last_bytes(20)
    content = b"".join(contents)
    assert len(end) >= min(20, len(content))
    assert content.endswith(end)
