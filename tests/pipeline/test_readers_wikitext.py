import pickle
import zipfile
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers import wikitext
from shards.errors import DataError

ROAD = """ \n = M @-@ 82 = \n \n A road of 1 @,@ 000 m , or 0 @.@ 6 mi . \n Its second one . \n
 = = Route = = \n \n A table : \n = 2 = \n = = = East = = = \n \n It ends . \n
 = = See also = = \n
"""
RAW = ROAD + " \n = E = mc2 = \n \n It is <unk> . \n \n \n = Nothing = \n \n = = Here = = \n"
EXPECTED = [
    Document(
        "wiki.train.raw#1",
        "M-82",
        "A road of 1,000 m , or 0.6 mi .\n\nIts second one .\n\nRoute\n\nA table :\n\n"
        "= 2 =\n\nEast\n\nIt ends .",
    ),
    Document("wiki.train.raw#2", "E = mc2", "It is <unk> ."),
]
COUNTS = {
    "cleaned: @-@, @,@ and @.@ joined": 3,
    "dropped: headings of nothing": 2,
    "dropped: empty articles": 1,
    "unknown words": 1,
}
EVALUATION = "dropped: files for evaluation (validation and test)"
LINES = st.lists(
    st.sampled_from(
        [" = A = ", " = B @-@ C = ", " = = D = = ", " \n", "", " ", " Words . ", "x = y"]
    )
).map("\n".join)


def read(path, config=None):
    config = config or FetchConfig()
    counts = Counter()
    files = wikitext.find(path)
    parts = [pickle.loads(pickle.dumps(part)) for part in wikitext.divide(files, config, 1)]
    assert sum(part.input_bytes for part in parts) == sum(
        file.stat().st_size for file in files.values()
    )
    documents = [document for part in parts for document in wikitext.read(part, config, counts)]
    return documents, counts


def make_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def archive(tmp_path):
    folder = "wikitext-2-raw"
    members = {f"{folder}/wiki.{split}.raw": RAW for split in ("train", "valid", "test")}
    return make_zip(tmp_path / "wikitext-2-raw-v1.zip", {**members, f"{folder}/readme": "x"})


def test_the_training_split_of_a_zip_is_read(archive):
    documents, counts = read(archive)
    assert documents == EXPECTED
    assert counts == COUNTS | {EVALUATION: 2, "dropped: files of another kind": 1}


def test_a_folder_is_read_alike(archive, tmp_path):
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / "wikitext-2-raw"
    documents, counts = read(folder)
    assert documents == EXPECTED
    assert counts == COUNTS | {EVALUATION: 2}
    (folder / "wiki.train.raw").unlink()
    assert [one.id for one in read(folder)[0]] == [
        f"wiki.{split}.raw#{number}" for split in ("test", "valid") for number in (1, 2)
    ]


def test_a_file_named_itself_is_read_whatever_its_split(tmp_path):
    path = tmp_path / "wiki.valid.tokens"
    path.write_text(RAW)
    assert [one.text for one in read(path)[0]] == [one.text for one in EXPECTED]


def test_parquet_gives_the_same_articles(tmp_path):
    lines = [line if line.strip() else "" for line in RAW.splitlines(keepends=True)]
    for name in ("train-00000-of-00001", "validation-00000-of-00001", "test-00000-of-00001"):
        pq.write_table(pa.table({"text": lines}), tmp_path / f"{name}.parquet", row_group_size=3)
    documents, counts = read(tmp_path)
    assert [one.text for one in documents] == [one.text for one in EXPECTED]
    assert documents[0].id == "train-00000-of-00001.parquet#1"
    assert counts == COUNTS | {EVALUATION: 2}


@given(LINES, st.integers(1, 60), st.integers(1, 60))
def test_the_cut_changes_no_article(tmp_path_factory, content, part_bytes, read_bytes):
    path = tmp_path_factory.mktemp("raw") / "wiki.train.raw"
    path.write_text(content)
    whole = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wikitext, "LARGEST_PART", part_bytes)
        patch.setattr(wikitext, "READ_BYTES", read_bytes)
        assert read(path) == whole
        zipped = make_zip(path.with_name("x.zip"), {"a/wiki.train.raw": content})
        assert read(zipped) == whole
    assert len({one.id for one in whole[0]}) == len(whole[0])


def test_lines_before_the_first_title_are_kept(tmp_path):
    path = tmp_path / "wiki.train.raw"
    path.write_bytes("\ufeff It goes on . \n \n = A = \n \n It begins . \n".encode())
    assert read(path)[0] == [
        Document("wiki.train.raw#0", "", "It goes on ."),
        Document("wiki.train.raw#1", "A", "It begins ."),
    ]


def test_a_mark_at_the_beginning_hides_no_title(tmp_path):
    path = tmp_path / "wiki.train.raw"
    path.write_bytes("\ufeff = A = \n \n It begins . \n".encode())
    assert read(path)[0] == [Document("wiki.train.raw#1", "A", "It begins .")]


def test_a_zip_cut_anywhere_is_named(archive):
    whole = archive.read_bytes()
    for size in range(0, len(whole), 10):
        archive.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"v1\.zip is damaged"):
            read(archive)


@pytest.mark.parametrize("name", ["../wiki.train.raw", "/wiki.train.raw"])
def test_a_member_that_points_outside_is_named(tmp_path, name):
    with pytest.raises(DataError, match="points outside"):
        read(make_zip(tmp_path / "x.zip", {name: RAW}))


def test_a_bomb_is_stopped(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"wiki.train.raw": RAW * 100})
    with pytest.raises(DataError, match=r"wiki\.train\.raw holds more than 999 bytes"):
        read(path, FetchConfig(max_member_size=999))
    path = make_zip(tmp_path / "x.zip", {"wiki.train.raw": b"a" * (1 << 25)})
    with pytest.raises(DataError, match=r"wiki\.train\.raw: article 1 holds more than 16,777,216"):
        read(path)


def test_a_zip_without_wikitext_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no wiki\.\*\.raw"):
        read(make_zip(tmp_path / "x.zip", {"a.txt": "x"}))


def test_a_parquet_of_another_kind_is_named(tmp_path):
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "train-0.parquet")
    with pytest.raises(DataError, match='has no column "text"'):
        read(tmp_path)


def test_other_files_and_folders_are_named(tmp_path):
    (tmp_path / "x.pdf").touch()
    with pytest.raises(DataError, match=r"x\.pdf is none of \.zip"):
        wikitext.find(tmp_path / "x.pdf")
    with pytest.raises(DataError, match=r"holds no \.zip"):
        wikitext.find(tmp_path)


def test_a_real_split_gives_its_60_articles(real_data):
    # `grep -c '^ = [^=]* = *$'` counts 60 in each file, as many as Merity et al. state (table 1).
    raw, raw_counts = read(real_data / "text" / "wikitext-2-raw")
    tokens, token_counts = read(real_data / "text" / "wikitext-2")
    assert len(raw) == len(tokens) == 60
    assert [one.title for one in raw][:3] == [
        "Homarus gammarus",
        "Frank Headlam",
        "M-82 ( Michigan highway )",
    ]
    assert not any("<unk>" in one.text or " @-@ " in one.text for one in raw)
    assert token_counts["unknown words"] == 11_718
    assert raw_counts["cleaned: @-@, @,@ and @.@ joined"] == 2_518
    assert raw_counts["dropped: headings of nothing"] == 19
