import json
import os

import pyarrow.parquet as pq
import pytest

from pipeline.config import FetchConfig
from pipeline.documents import read_texts
from pipeline.executors import Crew
from pipeline.fetch import fetch
from pipeline.fetch_call import Fetch
from pipeline.sources import SOURCES
from pipeline.stage import sole_writer
from pipeline.texts import text_sources
from shards.errors import DataError
from shards.manifest import read_manifest


def fetch_one(source, path, data, *, workers=1, **options):
    call = Fetch(
        sources=(source,),
        data=data,
        config=FetchConfig(**options),
        crew=Crew(workers),
        source_path=path,
        offline=True,
        warn=pytest.fail,
    )
    [(name, outcome)] = fetch(call)
    assert name == source
    return outcome


def fetch_text(path, data, **options):
    return fetch_one("text", path, data, **options).manifest


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
    assert manifest.config == {
        "source": "text",
        "limit": None,
        "max_member_size": 4 * 10**9,
        "text_field": "text",
    }
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
    outcome = fetch_one("text", corpus, tmp_path / "data")
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
    assert read_manifest(tmp_path / "data" / "text" / "text") is None
    assert not list((tmp_path / "data").rglob("*.partial"))


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


def test_one_s_own_text_needs_a_path(tmp_path):
    with pytest.raises(ValueError, match="--from PATH"):
        fetch_one("text", None, tmp_path)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("wikipedia", "https://dumps.wikimedia.org/enwiki/latest/enwiki-latest-sha1sums.txt"),
        ("gutenberg", "0B2Mzhc7popBga2RkcWZNcjlRTGM"),
        ("openwebtext", "zenodo.org/record/3834942/files/openwebtext.tar.xz"),
        ("openwebtext", "urlsf_subset00.tar"),
        ("wikitext-2", "wikitext-2-raw-v1.zip"),
        ("glue", "glue/data/CoLA.zip"),
        ("vocab", "electra-data/vocab.txt"),
    ],
)
def test_offline_the_error_says_where_the_data_are(source, address, tmp_path, leave):
    leave(0)  # nothing is loaded: nothing is said of room
    with pytest.raises(DataError) as caught:
        fetch_one(source, None, tmp_path)
    assert address in str(caught.value)


@pytest.mark.parametrize("source", sorted({*SOURCES} - {"docstrings", "vocab"}))
def test_a_missing_path_is_named(source, tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(DataError, match=str(missing)):
        fetch_one(source, missing, tmp_path)


@pytest.mark.parametrize("source", ["docstrings", "vocab"])
def test_some_sources_take_no_path(source, tmp_path):
    with pytest.raises(ValueError, match="leave --from"):
        fetch_one(source, tmp_path, tmp_path)


def test_a_name_that_is_no_unicode_becomes_one(tmp_path):
    """Names on Linux are bytes; those of macOS have their accents apart."""
    folder = tmp_path / "names"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("One.")
    (folder / "cafe\u0301.txt").write_text("Two.")
    fetch_text(folder, tmp_path / "data")
    table = pq.read_table(tmp_path / "data" / "text" / "text" / "part-00000.parquet")
    assert sorted(table["title"].to_pylist()) == ["caf\u00e9", "caf\ufffd"]
    assert sorted(table["id"].to_pylist()) == ["caf\u00e9.txt", "caf\ufffd.txt"]


def test_what_fetch_wrote_is_not_a_person_s_text(corpus, tmp_path):
    """As `fetch text --from .` in the folder that holds `data`."""
    first = fetch_text(corpus, corpus / "data")
    again = fetch_one("text", corpus, corpus / "data")
    assert again.was_finished
    assert sorted(first.inputs) == ["a.txt", "b.jsonl"]
    assert fetch_text(corpus / "data" / "text", tmp_path / "elsewhere").counts["documents"] == 2


def test_own_files_are_not_taken_for_the_source(tmp_path):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "Me___Mine.txt").write_text("A book of my own.")
    fetch_one("gutenberg", tmp_path / "books", tmp_path / "data")
    with pytest.raises(DataError, match=r"was made from your own files \(Me___Mine\.txt\)"):
        fetch_one("gutenberg", None, tmp_path / "data")


def test_a_failure_before_the_first_part_leaves_no_folder(corpus, tmp_path):
    with pytest.raises(DataError):
        fetch_one("gutenberg", None, tmp_path / "data")
    fetch_text(corpus, tmp_path / "data")
    assert [source.name for source in text_sources(tmp_path / "data" / "text")] == ["text"]


def test_two_at_once_in_one_folder_are_refused(corpus, tmp_path):
    out = tmp_path / "data" / "text" / "text"
    with sole_writer(out), pytest.raises(DataError, match="another command is writing"):
        fetch_text(corpus, tmp_path / "data")
    fetch_text(corpus, tmp_path / "data")


def test_a_copy_of_an_earlier_document_is_left_out_and_counted(tmp_path):
    rows = ["one", "two", "one", "three", "two", "one"]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    manifest = fetch_text(path, tmp_path / "data")
    assert manifest.counts["copies"] == {"part-00000.parquet": [2, 4, 5]}
    assert manifest.counts["documents"] == 3
    assert manifest.counts["text_bytes"] == 11
    assert manifest.counts["dropped"] == {"bytes of copies": 9, "copies of earlier documents": 3}
    [source] = text_sources(tmp_path / "data" / "text")
    texts = [text for group in source.row_groups() for text in read_texts(group)]
    assert texts == ["one", "two", "three"]
    assert source.documents == 3


def test_the_manifest_is_plain_json(corpus, tmp_path):
    fetch_text(corpus, tmp_path / "data")
    document = json.loads((tmp_path / "data" / "text" / "text" / "manifest.json").read_text())
    assert set(document["versions"]) == {"python", "pyarrow"}
