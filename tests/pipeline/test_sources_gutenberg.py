import zipfile
from collections import Counter

import pytest

from pipeline.documents import Document
from pipeline.sources import gutenberg
from shards.errors import DataError

BOOKS = {
    "Gutenberg/txt/B C___Emma_ A Novel.txt": b"It was a\nlong _day_.\n\n* * *\n\nThe end.",
    "Gutenberg/txt/A B___Letters.txt": b"Price \xa31.",
    "Gutenberg/txt/C___Blank.txt": b" \n",
    "Gutenberg/txt/D___Binary.txt": b"PK\x03\x04\0\0",
    "Gutenberg/readme.md": b"x",
}
EXPECTED = [
    Document("Gutenberg/txt/A B___Letters.txt", "Letters", "Price £1."),
    Document(
        "Gutenberg/txt/B C___Emma_ A Novel.txt", "Emma: A Novel", "It was a long day.\n\nThe end."
    ),
]


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "Gutenberg.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in BOOKS.items():
            file.writestr(name, content)
    return path


def read(path, workers=1):
    counts = Counter()
    return list(gutenberg.documents(path, counts, workers)), counts


def test_each_member_is_a_document(archive):
    documents, counts = read(archive)
    assert documents == EXPECTED
    assert counts.pop("input_bytes") > 0
    assert counts == {
        "cleaned: emphasis marks": 1,
        "cleaned: not UTF-8": 1,
        "dropped: binary files": 1,
        "dropped: empty books": 1,
        "dropped: files of another kind": 1,
        "dropped: paragraphs without a letter": 1,
    }


def test_a_folder_gives_the_same_books(archive, tmp_path):
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "unpacked")
    assert read(tmp_path / "unpacked")[0] == EXPECTED


def test_a_truncated_zip_is_named(archive):
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"Gutenberg\.zip is not a whole zip"):
        gutenberg.input_files(archive)


def test_a_flipped_byte_in_a_zip_is_named(archive):
    raw = bytearray(archive.read_bytes())
    raw[70] ^= 255  # within the first member's content
    archive.write_bytes(raw)
    with pytest.raises(DataError, match=r"Gutenberg\.zip is damaged"):
        read(archive)


def test_a_folder_without_books_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.txt"):
        gutenberg.input_files(tmp_path)


@pytest.mark.slow
def test_all_real_books_are_read(real_data):
    (path,) = (real_data / "mirror" / "drive.google.com").rglob("Gutenberg.zip")
    documents, counts = read(path)
    assert len(documents) == 260
    assert counts["cleaned: not UTF-8"] == 1
