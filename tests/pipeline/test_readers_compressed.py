import bz2
import gzip
import io
import lzma
from contextlib import closing

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.compressed import damage, unpack, unpack_xz
from shards.errors import DataError


def zst(raw):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as file:
        file.write(raw)
    return out.getvalue().to_pybytes()


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zst}
TEXT = b"".join(b"line %d\n" % number for number in range(1000))


def read(path):
    with path.open("rb") as file, damage(str(path), "again"):
        return unpack(file, path).read()


@pytest.fixture(params=PACK)
def suffix(request):
    return request.param


@given(st.lists(st.binary(max_size=5000)), st.sampled_from(list(PACK)))
def test_streams_that_follow_one_another_are_one_content(tmp_path_factory, pieces, suffix):
    path = tmp_path_factory.mktemp("packed") / f"x{suffix}"
    path.write_bytes(b"".join(map(PACK[suffix], [b"", *pieces])))
    assert read(path) == b"".join(pieces)


def test_a_file_cut_anywhere_is_named(tmp_path, suffix):
    whole = PACK[suffix](TEXT) + PACK[suffix](TEXT[::-1])
    joint = len(PACK[suffix](TEXT))
    path = tmp_path / f"x{suffix}"
    for size in {*range(0, len(whole), 10), joint - 1, joint + 1, len(whole) - 1} - {joint}:
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"x\{suffix} is truncated or damaged"):
            read(path)


def test_a_flipped_byte_in_the_second_stream_is_named(tmp_path, suffix):
    first, second = PACK[suffix](TEXT), bytearray(PACK[suffix](TEXT))
    path = tmp_path / f"x{suffix}"
    # A zst need not have a checksum; pyarrow writes none.
    for position in (0, 1) if suffix == ".zst" else (0, 1, len(second) // 2):
        second[position] ^= 255
        path.write_bytes(first + second)
        with pytest.raises(DataError, match=rf"x\{suffix} is truncated or damaged"):
            read(path)
        second[position] ^= 255


def test_padding_of_zeros_is_passed_over(tmp_path):
    for suffix in (".gz", ".bz2", ".xz"):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(PACK[suffix](TEXT) + bytes(1024))
        assert read(path) == TEXT


def test_a_bomb_is_unpacked_piece_by_piece(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(PACK[suffix](bytes(1 << 26)))
    with path.open("rb") as file:
        stream = unpack(file, path)
        assert len(stream.read(1000)) == 1000
        assert file.tell() <= 1 << 18


def test_an_xz_that_asks_for_too_much_memory_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 29}]
    packed = lzma.compress(b"x", filters=filters)
    with (
        pytest.raises(DataError, match=r"(?i)memory usage limit"),
        damage("x.xz", "again"),
        closing(unpack_xz(io.BytesIO(packed))) as file,
    ):
        file.read()


def test_a_plain_file_is_left_as_it_is(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"x")
    assert read(tmp_path / "x.txt") == b"x"
