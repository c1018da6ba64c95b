import io
import lzma
import tarfile
from collections import Counter

import pytest

from pipeline.documents import Document
from pipeline.sources import openwebtext
from shards.errors import DataError

PAGES = [
    {"0002-b.txt": b"Two.<br /><br />More.", "0001-a.txt": b"One."},
    {"3.txt": b"\n", "4.txt": b"P\0"},
]
EXPECTED = [Document("0002-b.txt", "", "Two.\n\nMore."), Document("0001-a.txt", "", "One.")]


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def outer_tar():
    inner = {f"openwebtext/u{n}.xz": lzma.compress(tar(pages)) for n, pages in enumerate(PAGES)}
    return tar({**inner, "openwebtext/u0.xz.lock": b""})


def read(path, workers=1):
    counts = Counter()
    return list(openwebtext.documents(path, counts, workers)), counts


@pytest.fixture(params=["tar.xz", "tar"])
def archive(request, tmp_path):
    path = tmp_path / f"openwebtext.{request.param}"
    raw = outer_tar()
    path.write_bytes(lzma.compress(raw) if request.param == "tar.xz" else raw)
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_pages_come_in_stored_order(archive, workers):
    documents, counts = read(archive, workers)
    assert documents == EXPECTED
    assert counts.pop("input_bytes") > 0
    assert counts == {
        "cleaned: <br /> tags": 2,
        "dropped: binary files": 1,
        "dropped: empty texts": 1,
        "dropped: files of another kind": 1,
    }


def test_counts_at_a_limit_do_not_depend_on_workers(archive):
    found = []
    for workers in (1, 2):
        counts = Counter()
        documents = openwebtext.documents(archive, counts, workers)
        next(documents)
        documents.close()
        found.append(counts)
    assert found[0] == found[1]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_archive_is_named(archive, share):
    raw = archive.read_bytes().rstrip(b"\0")  # a tar is padded with zeros
    archive.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(DataError, match=r"openwebtext\.tar"):
        read(archive)


def test_a_damaged_inner_archive_is_named(tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(tar({"a.xz": lzma.compress(tar(PAGES[0]))[:-30]}))
    with pytest.raises(DataError, match=r"x\.tar: a\.xz is damaged"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"plain text", bytes(10240)])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.tar"):
        read(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        openwebtext.input_files(tmp_path)


def test_real_archives_give_all_their_pages(real_data):
    mirror = real_data / "mirror"
    (outer,) = (mirror / "drive.google.com").rglob("openwebtext.tar.xz")
    (plain,) = (mirror / "huggingface.co").rglob("urlsf_subset00.tar")
    assert len(read(outer)[0]) == 700
    assert len(read(plain)[0]) == 500
