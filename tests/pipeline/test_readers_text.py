import bz2
import gzip
import json
import lzma
import pickle
import unicodedata
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers import records, text
from shards.errors import DataError


def zst(raw):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as file:
        file.write(raw)
    return out.getvalue().to_pybytes()


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zst}
LINES = st.lists(st.sampled_from(["", " ", "One.", "Two words.", "Three short words."])).map(
    "\n".join
)


def read(path, config=None):
    config = config or FetchConfig()
    counts = Counter()
    files = text.find(path)
    parts = [pickle.loads(pickle.dumps(part)) for part in text.divide(files, config, 1)]
    assert sum(part.input_bytes for part in parts) == sum(
        file.stat().st_size for file in files.values()
    )
    documents = [document for part in parts for document in text.read(part, config, counts)]
    return documents, counts


def test_a_folder_is_read_whole_in_order(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.jsonl").write_text(
        '\ufeff{"text": "One.", "id": 7, "title": "T"}\n\n{"text": "Two."}\n', encoding="utf-8"
    )
    (tmp_path / "c.txt").write_bytes(b"Caf\xe9.\r\n\r\nBar.")
    (tmp_path / "d.TXT.GZ").write_bytes(gzip.compress(b"Four."))
    pq.write_table(pa.table({"text": ["Three.", None]}), tmp_path / "a.parquet")
    (tmp_path / ".hidden.txt").write_text("Hidden.")
    (tmp_path / "x.pdf").write_text("Of another kind.")
    (tmp_path / "x.parquet.gz").write_text("Of another kind.")
    documents, counts = read(tmp_path)
    assert documents == [
        Document("a.parquet#1", "", "Three."),
        Document("c.txt", "c", "Café.\n\nBar."),
        Document("d.TXT.GZ", "d", "Four."),
        Document("7", "T", "One."),
        Document("sub/b.jsonl#3", "", "Two."),
    ]
    assert counts == {"dropped: empty texts": 1, "cleaned: not UTF-8": 1}


def test_a_long_txt_becomes_several_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "DOCUMENT_BYTES", 10)
    (tmp_path / "long.txt").write_text("One two.\n\nThree.\n\nFour\nfive.\n\nSix.")
    documents, _ = read(tmp_path / "long.txt")
    assert [document.id for document in documents] == ["long.txt", "long.txt#2", "long.txt#3"]
    assert [document.text for document in documents] == [
        "One two.",
        "Three.\n\nFour five.",
        "Six.",
    ]


def test_a_huge_txt_is_cut_into_pieces_first(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "DOCUMENT_BYTES", 10)
    monkeypatch.setattr(text, "PIECE_BYTES", 16)
    monkeypatch.setattr(text, "LARGEST_PART", 1)
    (tmp_path / "long.txt").write_text("One two.\n\nThree.\n\nFour\nfive.\n\nSix.")
    documents, _ = read(tmp_path / "long.txt")
    assert [(document.id, document.text) for document in documents] == [
        ("long.txt", "One two."),
        ("long.txt#2", "Three."),
        ("long.txt#2.1", "Four five."),
        ("long.txt#2.2", "Six."),
    ]


@given(LINES, st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_how_a_txt_is_read_changes_no_document(
    tmp_path_factory, content, piece_bytes, part_bytes, document_bytes
):
    folder = tmp_path_factory.mktemp("txt")
    path = folder / "x.txt"
    path.write_text(content)
    packed = folder / "packed" / "x.txt.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(content.encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "PIECE_BYTES", piece_bytes)
        patch.setattr(text, "DOCUMENT_BYTES", document_bytes)
        whole = read(path)
        assert " ".join(" ".join(one.text for one in whole[0]).split()) == " ".join(content.split())
        assert len({one.id for one in whole[0]}) == len(whole[0])
        patch.setattr(text, "LARGEST_PART", part_bytes)
        assert read(path) == whole
        assert [(one.title, one.text) for one in read(packed)[0]] == [
            (one.title, one.text) for one in whole[0]
        ]


@given(
    texts=st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N"])), min_size=1),
    ends=st.sampled_from(["", "\n", "\n\n"]),
    sizes=st.tuples(*[st.integers(1, 60)] * 3),
    suffix=st.sampled_from(list(PACK)),
)
def test_how_a_jsonl_is_read_changes_no_document(tmp_path_factory, texts, ends, sizes, suffix):
    folder = tmp_path_factory.mktemp("jsonl")
    texts = [unicodedata.normalize("NFC", one) for one in texts]
    path, packed = folder / "x.jsonl", folder / f"x.jsonl{suffix}"
    raw = ("\n".join(json.dumps({"text": one}) for one in texts) + ends).encode()
    path.write_bytes(raw)
    packed.write_bytes(PACK[suffix](raw))
    whole = read(path)
    assert [(one.id, one.text) for one in whole[0]] == [
        (f"x.jsonl#{number}", one) for number, one in enumerate(texts, 1) if one
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("LARGEST_PART", "SENT_BYTES", "READ_BYTES"), sizes, strict=True):
            patch.setattr(text, name, size)
        assert read(path) == whole
        documents, counts = read(packed)
        assert [one.id.replace(suffix, "") for one in documents] == [one.id for one in whole[0]]
        assert [one.text for one in documents] == [one.text for one in whole[0]]
        assert counts == whole[1]


@given(
    st.lists(st.one_of(st.none(), st.just("Some words.")), max_size=20),
    st.integers(1, 7),
    st.integers(1, 900),
)
def test_how_a_parquet_is_read_changes_no_document(tmp_path_factory, texts, group, largest):
    path = tmp_path_factory.mktemp("parquet") / "x.parquet"
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path, row_group_size=group)
    whole = read(path)
    assert [one.id for one in whole[0]] == [
        f"x.parquet#{number}" for number, one in enumerate(texts, 1) if one
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "LARGEST_PART", largest)
        patch.setattr(records, "BATCH_BYTES", 40)
        assert read(path) == whole


def test_small_files_share_a_part_and_large_ones_do_not(tmp_path, monkeypatch):
    for number in range(6):
        (tmp_path / f"{number}.jsonl").write_text('{"text": "Some words."}\n' * 2)
    (tmp_path / "3.jsonl").write_text('{"text": "Some words."}\n' * 10)
    monkeypatch.setattr(text, "LARGEST_PART", 100)
    parts = list(text.divide(text.find(tmp_path), FetchConfig(), 1))
    assert [[piece.name[0] for piece in part.pieces] for part in parts] == [
        ["0", "1", "2"],
        ["3"],
        ["3"],
        ["4", "5"],
    ]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.zst", "x.parquet"])
def test_another_field_can_hold_the_text(tmp_path, name):
    fields = {"content": "One.", "title": "T"}
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist([fields]), tmp_path / name)
    else:
        raw = json.dumps(fields).encode()
        (tmp_path / name).write_bytes(zst(raw) if name.endswith("zst") else raw)
    config = FetchConfig(text_field="content")
    assert read(tmp_path / name, config)[0] == [Document(f"{name}#1", "T", "One.")]
    with pytest.raises(DataError, match=r'not "text": .*--text-field'):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"text": "a"}\n{"text"', r"x\.jsonl, line 2 is not JSON"),
        ("[1]", r"line 1 is no JSON object but '\[1\]'"),
        ('{"body": "a"}', r"line 1 has the fields \['body'\].*--text-field"),
        ('{"text": "a"}\n' + "[" * 200_000, r"x\.jsonl, line 2 is nested too deep"),
        ('{"text": 3}', 'line 1 has a field "text" of type int'),
    ],
)
def test_a_bad_json_line_is_named(tmp_path, content, problem):
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=problem):
        read(path)


@pytest.mark.parametrize("suffix", ["", *PACK])
@pytest.mark.parametrize("largest", [1, 1 << 20])
def test_an_endless_line_is_stopped(tmp_path, monkeypatch, suffix, largest):
    monkeypatch.setattr(text, "LARGEST_PART", largest)
    monkeypatch.setattr(text, "PIECE_BYTES", 1000)
    monkeypatch.setattr(text, "SENT_BYTES", 1000)
    content = b'{"text": "a"}\n{"text": "' + b"a" * 9000 + b'"}'
    for kind in ("jsonl", "txt"):
        path = tmp_path / f"x.{kind}{suffix}"
        path.write_bytes(PACK[suffix](content) if suffix else content)
        with pytest.raises(DataError, match=rf"x\.{kind}.* holds more than 5,000 bytes"):
            read(path, FetchConfig(max_member_size=5000))
        assert read(path)[0]


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("largest", [1, 1 << 20])
@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_a_compressed_file_cut_anywhere_is_named(tmp_path, monkeypatch, suffix, largest, kind):
    monkeypatch.setattr(text, "LARGEST_PART", largest)
    path = tmp_path / f"x.{kind}{suffix}"
    whole = PACK[suffix](b"".join(b'{"text": "%d"}\n' % number for number in range(100)))
    for size in range(0, len(whole), 10):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"x\.{kind}\{suffix} is truncated or damaged"):
            read(path)


def test_a_lone_surrogate_is_replaced(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a \\ud800", "title": "\\udfff"}')
    assert read(path)[0] == [Document("x.jsonl#1", "\ufffd", "a \ufffd")]


def test_a_parquet_without_text_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a"], "body": ["b"]}), path)
    with pytest.raises(DataError, match=r"x\.parquet has the fields \['body', 'id'\]"):
        read(path)


def test_a_parquet_cut_anywhere_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100}), path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 10):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet"):
            read(path)


def test_a_binary_txt_is_named(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(DataError, match=r"x\.txt is not text"):
        read(path)


def test_a_large_wide_txt_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    path.write_text("Some words.\n" * 10, encoding="utf-16")
    assert read(path)[0][0].text.startswith("Some words.")
    monkeypatch.setattr(text, "PIECE_BYTES", 100)
    with pytest.raises(DataError, match=r"x\.txt is UTF-16 or UTF-32 and larger than 100 bytes"):
        read(path)


@pytest.mark.parametrize("name", ["x.pdf", "x.parquet.gz", "x.gz"])
def test_a_file_of_another_kind_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_text("x")
    with pytest.raises(DataError, match=r"x\..*gz|x\.pdf is none of \.txt, \.jsonl, \.parquet"):
        text.find(path)


def test_a_folder_without_text_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.txt, \.jsonl, \.parquet"):
        text.find(tmp_path)


def test_a_real_book_loses_its_licence(real_data):
    documents, counts = read(real_data / "text" / "botchan.txt")
    assert documents[0].text.startswith("BOTCHAN (MASTER DARLING)")
    assert "START OF" not in documents[0].text
    assert "gutenberg.org" not in documents[0].text
    assert counts["cleaned: Project Gutenberg books"] == 1
    assert counts["dropped: bytes around Project Gutenberg books"] == 19_346


def test_real_texts_are_read(real_data, tmp_path):
    folder = real_data / "text"
    for name in ("bert_sample_text", "botchan", "tinyshakespeare"):
        (tmp_path / f"{name}.txt").symlink_to(folder / f"{name}.txt")
    (tmp_path / "cs336.txt").write_bytes((folder / "cs336_corpus.en").read_bytes())
    documents, counts = read(tmp_path)
    assert [document.id for document in documents] == [
        "bert_sample_text.txt",
        "botchan.txt",
        "cs336.txt",
        "tinyshakespeare.txt",
        "tinyshakespeare.txt#2",
    ]
    assert counts["cleaned: control characters"] == 8
