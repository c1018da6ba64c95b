"""One's own text: the same documents, however the files are packed and divided."""

import gzip
import json
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers import records, text
from shards.errors import DataError
from tests.pipeline.text_files import PACK, read, zst


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


def test_a_dictionary_is_decoded_a_few_rows_at_a_time(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["word " * 200_000] * 100}), path)
    with records.open_parquet(path) as file:
        assert records.batch_rows(file, range(1)) == 16
    pq.write_table(pa.table({"text": ["word " * 10] * 600}), path)
    with records.open_parquet(path) as file:
        assert records.batch_rows(file, range(1)) == 1024


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


def test_a_lone_surrogate_is_replaced(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a \\ud800", "title": "\\udfff"}')
    assert read(path)[0] == [Document("x.jsonl#1", "\ufffd", "a \ufffd")]


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
