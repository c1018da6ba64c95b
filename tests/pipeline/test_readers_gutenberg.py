import pickle
import zipfile
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers import gutenberg
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


def make_zip(path, books):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in books.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def archive(tmp_path):
    return make_zip(tmp_path / "Gutenberg.zip", BOOKS)


def read(path, config=None):
    config = config or FetchConfig()
    counts = Counter()
    files = gutenberg.find(path)
    parts = [pickle.loads(pickle.dumps(part)) for part in gutenberg.divide(files, config, 1)]
    assert sum(part.input_bytes for part in parts) == sum(
        file.stat().st_size for file in files.values()
    )
    documents = [document for part in parts for document in gutenberg.read(part, config, counts)]
    return documents, counts


def test_each_member_is_a_document(archive):
    documents, counts = read(archive)
    assert documents == EXPECTED
    assert counts == {
        "cleaned: emphasis marks": 1,
        "cleaned: not UTF-8": 1,
        "dropped: binary files": 1,
        "dropped: empty books": 1,
        "dropped: files of another kind": 1,
        "dropped: paragraphs without a letter": 1,
    }


@pytest.mark.parametrize("largest", [1, 20, 1 << 20])
def test_the_size_of_parts_changes_nothing(archive, tmp_path, monkeypatch, largest):
    whole = read(archive)
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "unpacked")
    monkeypatch.setattr(gutenberg, "LARGEST_PART", largest)
    assert read(archive) == whole
    assert read(tmp_path / "unpacked")[0] == EXPECTED


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=5))
def test_any_text_gives_documents_or_counts(tmp_path_factory, texts):
    books = {f"A___{number}.txt": text.encode() for number, text in enumerate(texts)}
    documents, counts = read(make_zip(tmp_path_factory.mktemp("zip") / "x.zip", books))
    dropped = counts["dropped: empty books"] + counts["dropped: binary files"]
    assert len(documents) + dropped == len(texts)


def test_a_folder_gives_the_same_books(archive, tmp_path):
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "unpacked")
    assert read(tmp_path / "unpacked")[0] == EXPECTED


def test_a_folder_with_the_zip_will_do(archive, tmp_path):
    assert gutenberg.find(tmp_path) == {"Gutenberg.zip": archive}
    (tmp_path / "x.txt").touch()
    with pytest.raises(DataError, match=r"holds Gutenberg\.zip and \.txt files"):
        gutenberg.find(tmp_path)


def test_a_zip_without_books_gives_none_and_says_why(tmp_path):
    documents, counts = read(make_zip(tmp_path / "x.zip", {"a.pdf": b"x"}))
    assert documents == []
    assert counts == {"dropped: files of another kind": 1}


def test_a_zip_cut_anywhere_is_named(archive):
    whole = archive.read_bytes()
    for size in range(0, len(whole), 10):
        archive.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"Gutenberg\.zip is not a whole zip"):
            read(archive)


def test_a_flipped_byte_in_a_zip_is_named(archive):
    raw = bytearray(archive.read_bytes())
    raw[70] ^= 255  # within the first member's content
    archive.write_bytes(raw)
    with pytest.raises(DataError, match=r"Gutenberg\.zip: .*Emma.* is damaged"):
        read(archive)


def test_a_member_that_points_outside_is_named(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"../A___B.txt": b"x"})
    with pytest.raises(DataError, match=r"'\.\./A___B\.txt' points outside"):
        read(path)


def test_a_book_over_the_limit_is_named(archive, tmp_path):
    with pytest.raises(DataError, match=r"Letters\.txt holds more than 5 bytes"):
        read(archive, FetchConfig(max_member_size=5))
    bomb = make_zip(tmp_path / "bomb.zip", {"A___B.txt": bytes(1 << 25)})
    with pytest.raises(DataError, match=r"A___B\.txt holds more than 16,777,216 bytes"):
        read(bomb)


def test_a_folder_without_books_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.txt"):
        gutenberg.find(tmp_path)


@pytest.mark.slow
def test_all_real_books_are_read(real_data):
    (path,) = (real_data / "mirror" / "drive.google.com").rglob("Gutenberg.zip")
    documents, counts = read(path)
    assert len(documents) == 260
    assert counts["cleaned: not UTF-8"] == 1
    assert counts["cleaned: illustrations"] == 808
    assert counts["cleaned: emphasis marks"] == 43598
    assert counts["dropped: paragraphs without a letter"] == 2602
