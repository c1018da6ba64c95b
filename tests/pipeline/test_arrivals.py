"""`fetch` over a mirror of one's own, from the first address to the last document."""

import bz2
import hashlib
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from pipeline.sources import SOURCES
from shards.errors import DataError
from shards.manifest import read_manifest
from tests.pipeline.fetching import fetch_all, texts_of

ROOT = Path(__file__).parents[2]
HUB = "huggingface.co/datasets/Skylion007/openwebtext/resolve/main/subsets"
GUTENBERG = "drive.google.com/0B2Mzhc7popBga2RkcWZNcjlRTGM"


def tar_of(members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def subset(number):
    pages = {f"{number}-{page}.txt": f"Page {number}.{page}.".encode() for page in range(3)}
    inner = lzma.compress(tar_of(pages))
    return tar_of({f"openwebtext/urlsf_subset{number:02d}-1_data.xz": inner})


PAGES = [f"Page {number}.{page}." for number in range(21) for page in range(3)]


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    (folder / GUTENBERG).mkdir(parents=True)
    with zipfile.ZipFile(folder / GUTENBERG / "Gutenberg.zip", "w") as archive:
        archive.writestr("Gutenberg/txt/Jane Austen___Emma.txt", "Emma Woodhouse, handsome.")
    (folder / HUB).mkdir(parents=True)
    for number in range(21):
        (folder / HUB / f"urlsf_subset{number:02d}.tar").write_bytes(subset(number))
    return folder


def raw_files(data, source):
    names = (path.name for path in (data / "raw" / source).glob("*"))
    return sorted(name for name in names if not name.endswith(".json") and name[0] != ".")


def test_a_file_that_is_not_the_published_one_is_warned_of_once_and_marked(mirror, tmp_path):
    data = tmp_path / "data"
    outcomes, warnings = fetch_all(["gutenberg"], mirror, data)
    assert texts_of(data / "text" / "gutenberg") == ["Emma Woodhouse, handsome."]
    assert len(warnings) == 1
    assert "Gutenberg.zip" in warnings[0]
    assert outcomes["gutenberg"].manifest.counts["not_published"] == ["Gutenberg.zip"]


def test_where_one_way_fails_the_next_is_taken(mirror, tmp_path):
    data = tmp_path / "data"
    outcomes, _ = fetch_all(["openwebtext"], mirror, data)
    assert texts_of(data / "text" / "openwebtext") == PAGES
    assert len(raw_files(data, "openwebtext")) == 21
    manifest = outcomes["openwebtext"].manifest
    assert len(manifest.inputs) == len(manifest.counts["addresses"]) == 21


def test_where_all_ways_fail_the_error_lists_every_address(mirror, tmp_path):
    shutil.rmtree(mirror / "huggingface.co")
    with pytest.raises(DataError) as caught:
        fetch_all(["openwebtext"], mirror, tmp_path / "data")
    for address in ("1EA5V0oetDCOke7afsktL", "zenodo.org/record/3834942", "urlsf_subset00.tar"):
        assert address in str(caught.value)
    assert "--from" in caught.value.remedy


def test_a_source_that_fails_does_not_stop_the_others(mirror, tmp_path):
    shutil.rmtree(mirror / "huggingface.co")
    data = tmp_path / "data"
    with pytest.raises(DataError, match=r"^openwebtext failed: see above"):
        fetch_all(["openwebtext", "gutenberg"], mirror, data)
    assert texts_of(data / "text" / "gutenberg") == ["Emma Woodhouse, handsome."]


def test_a_second_run_is_done_already_and_needs_no_mirror(mirror, tmp_path):
    data = tmp_path / "data"
    first, _ = fetch_all(["gutenberg", "openwebtext"], mirror, data)
    again, warnings = fetch_all(["gutenberg", "openwebtext"], None, data, offline=True)
    for name, outcome in again.items():
        assert outcome.was_finished
        assert outcome.manifest == first[name].manifest
    assert warnings == []


def test_what_was_downloaded_is_read_again_offline(mirror, tmp_path):
    data = tmp_path / "data"
    first, _ = fetch_all(["openwebtext"], mirror, data)
    shutil.rmtree(data / "text")
    again, _ = fetch_all(["openwebtext"], None, data, offline=True)
    assert (
        again["openwebtext"].manifest.fingerprint() == first["openwebtext"].manifest.fingerprint()
    )


@pytest.mark.parametrize(
    ("limit", "pages", "files"), [(1, 1, 1), (27, 3, 1), (28, 4, 2), (99, 11, 4)]
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_limit_limits_the_download_too(mirror, tmp_path, limit, pages, files, workers):
    """A page has nine bytes, and a tar three pages."""
    data = tmp_path / "data"
    fetch_all(["openwebtext"], mirror, data, limit=limit, workers=workers)
    assert texts_of(data / "text" / "openwebtext") == PAGES[:pages]
    assert len(raw_files(data, "openwebtext")) == files


def test_raw_files_are_dropped_once_their_parts_are_there(mirror, tmp_path):
    data = tmp_path / "data"
    fetch_all(["openwebtext", "gutenberg"], mirror, data, drop_raw=True)
    assert raw_files(data, "openwebtext") == raw_files(data, "gutenberg") == []
    assert texts_of(data / "text" / "openwebtext") == PAGES
    again, _ = fetch_all(["openwebtext"], None, data, offline=True, drop_raw=True)
    assert again["openwebtext"].was_finished


@pytest.mark.parametrize("drop_raw", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_fetch_that_failed_goes_on_and_ends_with_the_same_bytes(
    mirror, tmp_path, drop_raw, workers
):
    data, damaged = tmp_path / "data", mirror / HUB / "urlsf_subset03.tar"
    whole = damaged.read_bytes()
    damaged.write_bytes(tar_of({"a.xz": b"no xz"}))
    with pytest.raises(DataError, match=r"a\.xz"):
        fetch_all(["openwebtext"], mirror, data, drop_raw=drop_raw, workers=workers)
    out = data / "text" / "openwebtext"
    assert read_manifest(out) is None
    made = {path.name: path.stat().st_mtime_ns for path in out.glob("part-0000[012].parquet")}
    assert len(made) == 3
    assert ("urlsf_subset00.tar" in raw_files(data, "openwebtext")) != drop_raw

    damaged.write_bytes(whole)
    for path in (data / "raw" / "openwebtext").glob("urlsf_subset03.tar*"):
        path.unlink()  # as the error says
    fetch_all(["openwebtext"], mirror, data, drop_raw=drop_raw, workers=workers)
    assert {name: (out / name).stat().st_mtime_ns for name in made} == made
    fetch_all(["openwebtext"], mirror, tmp_path / "unbroken")
    unbroken = read_manifest(tmp_path / "unbroken" / "text" / "openwebtext")
    assert read_manifest(out).files.keys() == unbroken.files.keys()
    assert read_manifest(out).fingerprint() == unbroken.fingerprint()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_a_fetch_killed_at_any_moment_goes_on_to_the_same_bytes(mirror, tmp_path):
    for path in sorted((mirror / HUB).iterdir()):  # more of the same, to be hit within
        pages = {f"{n}.txt": f"{path.stem} {n}. ".encode() * 9 for n in range(999)}
        inner = lzma.compress(tar_of(pages), preset=0)
        path.write_bytes(tar_of({f"{path.stem}-{n}_data.xz": inner for n in range(9)}))
    command = [sys.executable, "cli.py", "fetch", "openwebtext", "--drop-raw", "--workers", "2"]
    command += ["--base-url", str(mirror), "--data"]
    began = time.monotonic()
    run_quietly([*command, str(tmp_path / "whole")]).wait()
    seconds = time.monotonic() - began
    whole = read_manifest(tmp_path / "whole" / "text" / "openwebtext")
    assert whole.counts["documents"] == 21 * 999
    killed = 0
    for moment in range(1, 8):
        data = tmp_path / f"{moment}"
        process = run_quietly([*command, str(data)])
        time.sleep(seconds * moment / 8)
        process.kill()
        killed += process.wait() != 0
        time.sleep(0.3)  # for the workers to notice
        assert run_quietly([*command, str(data)]).wait() == 0
        assert read_manifest(data / "text" / "openwebtext").fingerprint() == whole.fingerprint()
    assert killed >= 4


def run_quietly(command):
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_file_put_there_by_hand_is_never_dropped(mirror, tmp_path):
    raw = tmp_path / "data" / "raw" / "openwebtext"
    raw.mkdir(parents=True)
    shutil.copy(mirror / HUB / "urlsf_subset00.tar", raw)
    fetch_all(["openwebtext"], None, tmp_path / "data", offline=True, drop_raw=True, limit=5)
    assert raw_files(tmp_path / "data", "openwebtext") == ["urlsf_subset00.tar"]


def test_what_a_finished_fetch_kept_is_dropped_on_demand(mirror, tmp_path):
    data = tmp_path / "data"
    fetch_all(["openwebtext"], mirror, data)
    assert len(raw_files(data, "openwebtext")) == 21
    fetch_all(["openwebtext"], None, data, offline=True, drop_raw=True)
    assert raw_files(data, "openwebtext") == []


def test_a_dropped_file_without_its_parts_is_loaded_again(mirror, tmp_path):
    """The parts may be gone, and another fetch be unfinished in their place."""
    data, damaged = tmp_path / "data", mirror / HUB / "urlsf_subset03.tar"
    whole = damaged.read_bytes()
    damaged.write_bytes(tar_of({"a.xz": b"no xz"}))
    with pytest.raises(DataError):
        fetch_all(["openwebtext"], mirror, data, drop_raw=True)
    damaged.write_bytes(whole)
    for path in (data / "raw" / "openwebtext").glob("urlsf_subset03.tar*"):
        path.unlink()
    (data / "text" / "openwebtext" / "part-00001.parquet").unlink()
    record = next((data / "text" / "openwebtext" / ".unfinished").glob("part-00001-*.json"))
    record.unlink()
    fetch_all(["openwebtext"], mirror, data, drop_raw=True)
    assert texts_of(data / "text" / "openwebtext") == PAGES


def test_documents_deleted_after_their_raw_files_are_downloaded_again(mirror, tmp_path):
    data = tmp_path / "data"
    fetch_all(["openwebtext"], mirror, data, drop_raw=True)
    shutil.rmtree(data / "text")
    fetch_all(["openwebtext"], mirror, data)
    assert texts_of(data / "text" / "openwebtext") == PAGES


def page(identity, text):
    return (
        f"<page><title>T{identity}</title><ns>0</ns><id>{identity}</id>"
        f"<revision><id>1</id><text>{text}</text></revision></page>"
    )


def test_wikipedia_is_resolved_downloaded_and_read(mirror, tmp_path):
    key = '<namespaces><namespace key="10">Template</namespace></namespaces>'
    pieces = [f"<mediawiki><siteinfo>{key}</siteinfo>", page(1, "One."), page(2, "Two.")]
    dump = b"".join(bz2.compress(piece.encode()) for piece in [*pieces, "</mediawiki>"])
    folder = mirror / "dumps.wikimedia.org" / "xxwiki" / "latest"
    folder.mkdir(parents=True)
    (folder / "xxwiki-latest-pages-articles-multistream.xml.bz2").write_bytes(dump)
    name = "xxwiki-20240801-pages-articles-multistream.xml.bz2"
    (folder / "xxwiki-latest-sha1sums.txt").write_text(
        f"{hashlib.sha1(dump).hexdigest()}  {name}\n"
    )
    data = tmp_path / "data"
    outcomes, warnings = fetch_all(["wikipedia"], mirror, data, language="xx")
    assert texts_of(data / "text" / "wikipedia") == ["One.", "Two."]
    assert list(outcomes["wikipedia"].manifest.inputs) == [name]
    assert outcomes["wikipedia"].manifest.config["language"] == "xx"
    assert warnings == []
    assert raw_files(data, "wikipedia") == [name]


def test_every_source_says_its_licence_and_what_to_cite():
    for name, source in SOURCES.items():
        assert source.licence, name
        assert source.cite, name
