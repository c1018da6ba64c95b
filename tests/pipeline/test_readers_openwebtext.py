import io
import lzma
import pickle
import tarfile
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers import openwebtext
from shards.errors import DataError

PAGES = [
    {"0002-b.txt": b"Two.<br /><br />More.", "0001-a.txt": b"One."},
    {"3.txt": b"\n", "4.txt": b"P\0"},
]
EXPECTED = [Document("0002-b.txt", "", "Two.\n\nMore."), Document("0001-a.txt", "", "One.")]
COUNTS = {"cleaned: <br /> tags": 2, "dropped: binary files": 1, "dropped: empty texts": 1}
OTHERS = {"dropped: files of another kind": 1}


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def link():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("evil.txt")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


def inner_archives():
    return {f"openwebtext/u{n}.xz": lzma.compress(tar(pages)) for n, pages in enumerate(PAGES)}


def outer_tar():
    return tar({**inner_archives(), "openwebtext/u0.xz.lock": b""})


def read(path, config=None):
    config = config or FetchConfig()
    counts = Counter()
    files = openwebtext.find(path)
    parts = [pickle.loads(pickle.dumps(part)) for part in openwebtext.divide(files, config, 1)]
    assert sum(part.input_bytes for part in parts) == sum(
        file.stat().st_size for file in files.values()
    )
    documents = [document for part in parts for document in openwebtext.read(part, config, counts)]
    return documents, counts


@pytest.fixture(params=["tar.xz", "tar"])
def archive(request, tmp_path):
    path = tmp_path / f"openwebtext.{request.param}"
    raw = outer_tar()
    path.write_bytes(lzma.compress(raw) if request.param == "tar.xz" else raw)
    return path


@pytest.mark.parametrize("largest", [1, 1 << 20])
def test_pages_come_in_stored_order(archive, monkeypatch, largest):
    monkeypatch.setattr(openwebtext, "LARGEST_PART", largest)
    documents, counts = read(archive)
    assert documents == EXPECTED
    assert counts == COUNTS | OTHERS


@pytest.mark.parametrize("largest", [1, 1 << 20])
def test_a_folder_of_tars_is_read_in_the_order_of_names(tmp_path, monkeypatch, largest):
    monkeypatch.setattr(openwebtext, "LARGEST_PART", largest)
    for number in (1, 0):
        members = {"subset/u.xz": lzma.compress(tar(PAGES[number]))}
        (tmp_path / f"urlsf_subset{number:02d}.tar").write_bytes(tar(members))
    assert read(tmp_path) == (EXPECTED, COUNTS)


@pytest.mark.parametrize("largest", [1, 1 << 20])
def test_a_folder_of_inner_archives_will_do(tmp_path, monkeypatch, largest):
    monkeypatch.setattr(openwebtext, "LARGEST_PART", largest)
    for number, pages in enumerate(PAGES):
        path = tmp_path / f"urlsf_subset00-{number}_data.xz"
        path.write_bytes(lzma.compress(tar(pages)))
    assert read(tmp_path) == (EXPECTED, COUNTS)
    assert read(path)[1]["dropped: empty texts"] == 1


@pytest.mark.parametrize("name", ["x.tar", "x.tar.xz"])
def test_an_archive_of_pages_will_do(tmp_path, name):
    raw = tar({**PAGES[0], **PAGES[1]})
    (tmp_path / name).write_bytes(lzma.compress(raw) if name.endswith("xz") else raw)
    assert read(tmp_path / name) == (EXPECTED, COUNTS)


@given(
    pages=st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=6),
    largest=st.integers(1, 300),
)
@settings(max_examples=30)
def test_the_cut_and_the_form_change_no_document(tmp_path_factory, pages, largest):
    folder = tmp_path_factory.mktemp("owt")
    inner = {
        f"{number}.xz": lzma.compress(tar({f"{number}.txt": page.encode()}), preset=0)
        for number, page in enumerate(pages)
    }
    (folder / "x.tar").write_bytes(tar(inner))
    (folder / "x.tar.xz").write_bytes(lzma.compress(tar(inner), preset=0))
    whole = read(folder / "x.tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openwebtext, "LARGEST_PART", largest)
        assert read(folder / "x.tar") == read(folder / "x.tar.xz") == whole


def test_an_archive_cut_anywhere_is_named(archive):
    whole = archive.read_bytes().rstrip(b"\0")  # a tar is padded with zeros
    for size in range(0, len(whole), 10):
        archive.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"openwebtext\.tar"):
            read(archive)


def test_an_inner_archive_cut_anywhere_is_named(tmp_path):
    path = tmp_path / "x.tar"
    inner = lzma.compress(tar(PAGES[0]))
    for size in range(0, len(inner), 10):
        path.write_bytes(tar({"a.xz": inner[:size]}))
        with pytest.raises(DataError, match=r"x\.tar: a\.xz is truncated or damaged"):
            read(path)


@pytest.mark.parametrize("damage", [-30, -100, 10])
def test_a_flipped_byte_of_an_inner_archive_is_named(tmp_path, damage):
    inner = bytearray(lzma.compress(tar(PAGES[0])))
    inner[damage] ^= 255
    path = tmp_path / "x.tar"
    path.write_bytes(tar({"a.xz": bytes(inner)}))
    with pytest.raises(DataError, match=r"x\.tar: a\.xz is truncated or damaged"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"plain text", bytes(10240)])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.tar"):
        read(path)


@pytest.mark.parametrize("raw", [link(), tar({"../x.txt": b"x"}), tar({"/x.txt": b"x"})])
def test_what_could_do_harm_is_refused_inside_and_outside(tmp_path, raw):
    path = tmp_path / "x.tar"
    for content in (raw, tar({"a.xz": lzma.compress(raw)})):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.tar.*(is a link|points outside)"):
            read(path)


def test_nested_bombs_are_stopped(tmp_path):
    path = tmp_path / "x.tar"
    page = lzma.compress(tar({"1.txt": bytes(20 << 20)}))
    path.write_bytes(tar({"a.xz": page}))
    with pytest.raises(DataError, match=r"x\.tar: a\.xz: 1\.txt holds more than 16,777,216 bytes"):
        read(path)
    with pytest.raises(DataError, match=r"1\.txt holds more than 9 bytes.*--max-member-size"):
        read(path, FetchConfig(max_member_size=9))
    path.write_bytes(tar({"a.xz": lzma.compress(bytes(1 << 26))}))
    with pytest.raises(DataError, match=r"x\.tar: a\.xz goes on after its end"):
        read(path)


def test_a_huge_inner_archive_is_refused(archive, monkeypatch):
    monkeypatch.setattr(openwebtext, "LARGEST_INNER", 10)
    with pytest.raises(DataError, match=r"u0\.xz has \d+ bytes and is no archive of OpenWebText"):
        read(archive)


def test_an_outer_archive_called_as_an_inner_one_is_named(tmp_path):
    path = tmp_path / "openwebtext.xz"
    path.write_bytes(lzma.compress(outer_tar()))
    with pytest.raises(DataError, match=r"openwebtext\.xz holds the archive .*\.tar\.xz"):
        read(path)


def test_a_folder_without_archives_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder without"):
        openwebtext.find(tmp_path)


def test_real_archives_give_all_their_pages(real_data):
    mirror = real_data / "mirror"
    (outer,) = (mirror / "drive.google.com").rglob("openwebtext.tar.xz")
    (plain,) = (mirror / "huggingface.co").rglob("urlsf_subset00.tar")
    documents, counts = read(outer)
    assert len(documents) == 700
    assert counts["cleaned: <br /> tags"] == 1
    assert read(plain)[0] == documents[:500]


@pytest.mark.slow
def test_all_real_reviews_are_read(real_data):
    documents, counts = read(real_data / "webtext" / "openwebtext.tar.xz")
    assert len(documents) == 35_000
    assert counts["cleaned: <br /> tags"] == 141_141
