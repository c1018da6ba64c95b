import contextlib
import io
import stat
import struct
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers import archives
from pipeline.readers.archives import open_zip, read_zipped, tar_texts, walk_tar, zip_members
from shards.errors import DataError

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}
HOSTILE = ["../x", "a/../../x", "/etc/x", "a/..", "..\\x", "\\x", "C:\\x", "c:/x"]
name_parts = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0:\r\n.", exclude_categories=["Cc"]),
    min_size=1,
    max_size=40,
)
names = st.lists(name_parts, min_size=1, max_size=9).map("/".join)


def tar(members, form=tarfile.PAX_FORMAT):
    """Return a tar of (name, content), or of (name, TarInfo's changes)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for field, value in content.items():
                    setattr(member, field, value)
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def texts(raw, limit=1 << 20):
    return list(tar_texts(io.BytesIO(raw), "x.tar", limit))


def make_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read_zip(path, limit=1 << 20):
    with open_zip(path) as archive:
        return {
            member.filename: read_zipped(archive, member.filename, str(path), limit)
            for member in zip_members(archive, str(path))
        }


@given(st.lists(st.tuples(names, st.binary(max_size=1500))), st.sampled_from(["gnu", "pax"]))
def test_every_tar_of_tarfile_is_read_alike(members, form):
    assert texts(tar(members, FORMATS[form])) == members


@given(st.lists(st.tuples(names.filter(lambda name: len(name.encode()) < 90), st.binary())))
def test_every_ustar_is_read_alike(members):
    assert texts(tar(members, FORMATS["ustar"])) == members


def test_a_ustar_prefix_is_part_of_the_name():
    name = "a" * 90 + "/" + "b" * 80
    assert texts(tar([(name, b"x")], FORMATS["ustar"])) == [(name, b"x")]


def test_a_binary_size_is_read():
    raw = bytearray(tar([("a", b"xyz")], FORMATS["gnu"]))
    raw[124:136] = b"\x80" + (3).to_bytes(11, "big")
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    assert texts(bytes(raw)) == [("a", b"xyz")]


def test_folders_are_passed_over():
    raw = tar([("a", {"type": tarfile.DIRTYPE}), ("a/b", b"x")])
    assert texts(raw) == [("a/b", b"x")]


def test_places_are_found_without_reading():
    file = io.BytesIO(tar([("a", b"one"), ("b", b"t" * 700)]))

    def take(name, size):
        offset = file.tell()
        file.seek(size, io.SEEK_CUR)
        return name, offset, size

    assert list(walk_tar(file, "x.tar", take)) == [("a", 512, 3), ("b", 1536, 700)]


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_links_and_devices_in_a_tar_are_refused(kind, form):
    raw = tar([("a", b"x"), ("evil", {"type": kind, "linkname": "/etc/passwd"})], FORMATS[form])
    with pytest.raises(DataError, match=r"x\.tar: evil is a link, a device"):
        texts(raw)


def test_a_sparse_file_of_pax_is_refused():
    raw = tar([("evil", {"pax_headers": {"GNU.sparse.major": "1"}})])
    with pytest.raises(DataError, match=r"x\.tar has a sparse file"):
        texts(raw)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", FORMATS)
def test_names_that_point_outside_are_refused(name, form):
    with pytest.raises(DataError, match="points outside"):
        texts(tar([(name, b"x")], FORMATS[form]))


@pytest.mark.parametrize("name", ["a..b", "...", "a/..b", "a:b", "b.../c"])
def test_other_names_with_dots_are_taken(name):
    assert texts(tar([(name, b"x")])) == [(name, b"x")]


def test_a_pax_name_that_points_outside_is_refused():
    with pytest.raises(DataError, match="points outside"):
        texts(tar([("a", {"pax_headers": {"path": "../x"}})]))


def test_a_member_over_the_limit_is_named():
    with pytest.raises(DataError, match=r"x\.tar: a holds more than 10 bytes.*--max-member-size"):
        texts(tar([("a", b"x" * 11)]), limit=10)
    assert texts(tar([("a", b"x" * 10)]), limit=10)


def test_a_size_that_lies_is_a_truncated_tar():
    raw = bytearray(tar([("a", b"xyz")]))
    raw[124:136] = b"77777777777\0"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    with pytest.raises(DataError, match="holds more than"):
        texts(bytes(raw))
    with pytest.raises(DataError, match="truncated"):
        texts(bytes(raw), limit=1 << 40)


@pytest.mark.parametrize(
    "payload", [b"0 a=b\n", b"9999999 path=x\n", b"x", b"-5 a=b\n", b"12 size=-5\n"]
)
def test_a_damaged_pax_header_is_named(payload):
    header = bytearray(tar([("h", payload)], FORMATS["ustar"])[:1024])
    header[156:157] = b"x"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    with pytest.raises(DataError, match=r"x\.tar (?:has a damaged pax header|is damaged)"):
        texts(bytes(header) + tar([("a", b"x")]))


def test_a_huge_extension_is_refused():
    name = "a" * (archives.LARGEST_EXTENSION + 1)
    with pytest.raises(DataError, match="has a header of"):
        texts(tar([(name, b"x")]))


def test_a_tar_cut_anywhere_is_named():
    whole = tar([("a", b"x" * 700), ("b" * 150, b"y")])
    end = len(whole.rstrip(b"\0"))
    last_content = end + -end % 512
    for size in range(0, last_content + 1, 10):
        with pytest.raises(DataError, match=r"x\.tar is truncated"):
            texts(whole[:size])


def test_a_damaged_header_does_not_end_a_tar_in_silence():
    whole = bytearray(tar([("a", b"x"), ("b", b"y")]))
    whole[1024] ^= 1
    with pytest.raises(DataError, match=r"x\.tar is damaged"):
        texts(bytes(whole))


def test_what_follows_the_end_is_named():
    whole = tar([("a", b"x")])
    for more in (whole, bytes(archives.LARGEST_TAIL)):
        with pytest.raises(DataError, match="goes on after its end"):
            texts(whole + more)


@given(st.binary(max_size=2000), st.integers(0, 3000))
def test_no_bytes_do_more_than_a_data_error(raw, position):
    whole = bytearray(tar([("a", b"x" * 700), ("b" * 150, b"y")]))
    whole[position : position + len(raw)] = raw
    with contextlib.suppress(DataError):
        texts(bytes(whole))


def test_a_zip_is_read_in_the_order_of_names(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"b": b"2", "a": b"1", "c/": b""})
    assert read_zip(path) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_in_a_zip_that_point_outside_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="points outside"):
        read_zip(make_zip(tmp_path / "x.zip", {name: b"x"}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    member = zipfile.ZipInfo("evil")
    member.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(member, b"/etc/passwd")
    with pytest.raises(DataError, match=r"x\.zip: evil is a link"):
        read_zip(tmp_path / "x.zip")


def test_an_encrypted_zip_is_refused(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"a": b"x"})
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.zip: a is encrypted"):
        read_zip(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_cannot_be_bounded_is_refused(tmp_path, method):
    with pytest.raises(DataError, match=rf"a is packed by method {method}"):
        read_zip(make_zip(tmp_path / "x.zip", {"a": b"x" * 100}, method))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_listed_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    with pytest.raises(DataError, match="lists a twice"):
        read_zip(tmp_path / "x.zip")


def test_a_zip_bomb_is_stopped_at_the_limit(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"a": bytes(1 << 24)})
    assert path.stat().st_size < 1 << 15
    with pytest.raises(DataError, match=r"x\.zip: a holds more than 1,000 bytes"):
        read_zip(path, limit=1000)


@pytest.mark.parametrize("claim", [1, 999, 1001, 1 << 20])
def test_a_size_that_lies_in_a_zip_is_named(tmp_path, claim):
    path = make_zip(tmp_path / "x.zip", {"a": b"x" * 1000})
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.rindex(b"PK\1\2") + 24, claim)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.zip: a is"):
        read_zip(path)


def test_a_zip_cut_anywhere_is_named(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"a": b"x" * 500, "b": bytes(range(256))})
    whole = path.read_bytes()
    for size in range(0, len(whole), 10):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"x\.zip is damaged"):
            read_zip(path)


@given(st.integers(0, 600), st.integers(1, 255))
def test_a_flipped_byte_of_a_zip_is_found_or_does_not_matter(tmp_path_factory, position, flip):
    path = make_zip(tmp_path_factory.mktemp("zip") / "x.zip", {"a": b"abc" * 100, "b": b"x"})
    raw = bytearray(path.read_bytes())
    raw[position % len(raw)] ^= flip
    path.write_bytes(raw)
    try:
        found = read_zip(path)
    except DataError:
        return
    assert set(map(zlib.crc32, found.values())) <= {zlib.crc32(b"abc" * 100), zlib.crc32(b"x")}
