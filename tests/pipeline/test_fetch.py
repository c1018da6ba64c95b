import json
import os

import pyarrow.parquet as pq
import pytest

from pipeline.fetch import fetch
from pipeline.sources import SOURCES
from shards.errors import DataError
from shards.manifest import read_manifest


def fetch_text(path, data, limit=None):
    return fetch("text", source_path=path, data=data, limit=limit, workers=1).manifest


def texts_of(folder):
    return [
        text
        for path in sorted(folder.glob("part-*.parquet"))
        for text in pq.read_table(path)["text"].to_pylist()
    ]


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("First document.")
    (folder / "b.jsonl").write_text('{"text": "Second document."}\n{"text": " "}\n')
    (folder / "c.pdf").write_text("no")
    return folder


def test_documents_and_their_manifest_are_written(corpus, tmp_path):
    manifest = fetch_text(corpus, tmp_path / "data")
    out = tmp_path / "data" / "text" / "text"
    assert texts_of(out) == ["First document.", "Second document."]
    assert manifest == read_manifest(out)
    assert manifest.config == {"source": "text", "limit": None}
    assert sorted(manifest.inputs) == ["a.txt", "b.jsonl"]
    assert manifest.counts["documents"] == 2
    assert manifest.counts["text_bytes"] == 31
    assert manifest.counts["dropped"] == {"empty texts": 1, "files of another kind": 1}


def test_a_second_run_changes_nothing(corpus, tmp_path):
    first = fetch_text(corpus, tmp_path / "data")
    part = tmp_path / "data" / "text" / "text" / "part-00000.parquet"
    written = part.stat().st_mtime_ns
    assert fetch_text(corpus, tmp_path / "data") == first
    assert part.stat().st_mtime_ns == written


def test_an_untouched_input_is_not_read_again(corpus, tmp_path):
    first = fetch_text(corpus, tmp_path / "data")
    path = corpus / "a.txt"
    before = path.stat()
    path.write_text("Other documents"[: before.st_size])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetch_text(corpus, tmp_path / "data") == first


def test_a_touched_input_is_read_again_and_found_equal(corpus, tmp_path):
    first = fetch_text(corpus, tmp_path / "data")
    os.utime(corpus / "a.txt", ns=(1, 1))
    outcome = fetch("text", source_path=corpus, data=tmp_path / "data", limit=None, workers=1)
    assert outcome.was_finished
    assert outcome.manifest == first


def test_a_damaged_part_is_made_again(corpus, tmp_path):
    first = fetch_text(corpus, tmp_path / "data")
    part = tmp_path / "data" / "text" / "text" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    assert fetch_text(corpus, tmp_path / "data").fingerprint() == first.fingerprint()


def test_other_input_in_the_same_folder_is_refused(corpus, tmp_path):
    fetch_text(corpus, tmp_path / "data")
    (corpus / "a.txt").write_text("Changed.")
    with pytest.raises(DataError, match=r"a\.txt"):
        fetch_text(corpus, tmp_path / "data")


def test_another_limit_in_the_same_folder_is_refused(corpus, tmp_path):
    fetch_text(corpus, tmp_path / "data")
    with pytest.raises(DataError, match="limit None, not 5"):
        fetch_text(corpus, tmp_path / "data", limit=5)


def test_a_limit_cuts_no_document(corpus, tmp_path):
    manifest = fetch_text(corpus, tmp_path / "data", limit=5)
    assert texts_of(tmp_path / "data" / "text" / "text") == ["First document."]
    assert manifest.counts["documents"] == 1


def test_what_an_interrupted_run_left_is_deleted(corpus, tmp_path):
    out = tmp_path / "data" / "text" / "text"
    out.mkdir(parents=True)
    for name in ("part-00000.parquet", "part-00007.parquet", "part-00008.parquet.partial"):
        (out / name).write_text("half")
    fetch_text(corpus, tmp_path / "data")
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "part-00000.parquet"]


def test_an_error_leaves_no_manifest_and_no_half_file(corpus, tmp_path):
    (corpus / "z.jsonl").write_text("{")
    with pytest.raises(DataError):
        fetch_text(corpus, tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*.*"))


def test_an_empty_result_says_what_was_dropped(tmp_path):
    (tmp_path / "empty.txt").write_text(" \n\n ")
    with pytest.raises(DataError, match=r"empty\.txt gives no document \(1 empty texts\)"):
        fetch_text(tmp_path / "empty.txt", tmp_path / "data")


def test_many_inputs_share_one_hash(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(101):
        (folder / f"{number}.txt").write_text(f"Document {number}.")
    first = fetch_text(folder, tmp_path / "data")
    assert list(first.inputs) == list(first.counts["input_files"]) == ["101 files"]
    os.utime(folder / "7.txt", ns=(1, 1))
    assert fetch_text(folder, tmp_path / "data") == first
    (folder / "7.txt").write_text("Changed.")
    with pytest.raises(DataError, match="101 files"):
        fetch_text(folder, tmp_path / "data")


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("wikipedia", "enwiki-latest-pages-articles.xml.bz2"),
        ("gutenberg", "0B2Mzhc7popBga2RkcWZNcjlRTGM"),
        ("openwebtext", "zenodo.org/record/3834942/files/openwebtext.tar.xz"),
        ("text", "--from PATH"),
        ("glue", "--from"),
    ],
)
def test_without_a_path_the_error_says_where_the_data_are(source, address, tmp_path):
    with pytest.raises(DataError, match=address):
        fetch(source, source_path=None, data=tmp_path, limit=None, workers=1)


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "docstrings"])
def test_a_missing_path_is_named(source, tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(DataError, match=str(missing)):
        fetch(source, source_path=missing, data=tmp_path, limit=None, workers=1)


def test_docstrings_take_no_path(tmp_path):
    with pytest.raises(DataError, match="leave --from"):
        fetch("docstrings", source_path=tmp_path, data=tmp_path, limit=None, workers=1)


def test_the_manifest_is_plain_json(corpus, tmp_path):
    fetch_text(corpus, tmp_path / "data")
    document = json.loads((tmp_path / "data" / "text" / "text" / "manifest.json").read_text())
    assert set(document["versions"]) == {"python", "pyarrow"}
