"""Raw files that are there already, and a disk without room for them."""

import errno
from pathlib import Path

import gdown
import pytest

from pipeline.downloads.downloader import STAGING, Downloader
from pipeline.downloads.raw_files import (
    BY_HAND,
    drop_downloaded,
    dropped_parts,
    forget_dropped,
    mark_dropped,
    sidecar,
)
from pipeline.sources import RemoteFile
from shards.errors import DataError
from tests.pipeline.downloads.loading import (
    BODY,
    NAME,
    OTHER,
    assert_right,
    fails,
    load,
    only_waits,
    remote,
)
from tests.pipeline.downloads.servers import Server


def test_a_damaged_file_is_named_and_left(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    path = load(file, folder).path
    path.write_bytes(OTHER)
    with pytest.raises(DataError, match=r"has changed since .* delete it and corpus.bin.json"):
        load(file, folder)
    assert path.read_bytes() == OTHER
    path.write_bytes(BODY)
    assert_right(load(file, folder), folder)
    assert len(server.bodies("/a")) == 1


def test_a_persons_own_file_is_checked_and_never_deleted(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(BODY[:-1])
    for _ in range(2):
        with pytest.raises(DataError, match=r"not corpus.bin as published: it has 2,299,999 bytes"):
            load(file, folder)
    assert (folder / NAME).read_bytes() == BODY[:-1]
    (folder / NAME).write_bytes(BODY)
    assert_right(load(file, folder, offline=True), folder)
    assert server.requests == []


def test_a_sum_published_since_then_is_compared_too(server: Server, folder: Path):
    address = server.serve("/a", BODY)
    load(remote(address, body=None), folder)
    with pytest.raises(DataError, match="is not the published file"):
        load(remote(address, body=OTHER), folder)
    assert_right(load(remote(address), folder), folder)
    assert len(server.bodies("/a")) == 1


def test_a_sum_seen_first_is_compared_later(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY), body=None)
    load(file, folder).path.unlink()
    assert_right(load(file, folder), folder)
    (folder / NAME).unlink()
    server.serve("/a", OTHER, etag='"2"')
    for _ in range(2):
        error = fails(file, folder, "another corpus.bin than on the first download")
    assert str(sidecar(folder / NAME)) in error.remedy
    sidecar(folder / NAME).unlink()
    assert_right(load(file, folder), folder, OTHER)
    assert len(server.bodies("/a")) == 3


def test_a_dropped_file_is_not_loaded_again(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    raw = load(file, folder)
    assert dropped_parts(raw.path) is None
    assert mark_dropped(raw.path, 3)
    assert not raw.path.exists()
    assert not mark_dropped(raw.path, 4)
    assert dropped_parts(raw.path) == 3
    assert load(file, folder, offline=True) == raw
    assert not raw.path.exists()
    assert len(server.bodies("/a")) == 1
    with Downloader(warn=pytest.fail) as downloader:
        downloader.check_space([RemoteFile(NAME, (), 1 << 60)], folder)
    forget_dropped([raw.path, folder / "never seen"])
    assert dropped_parts(raw.path) is None
    assert_right(load(file, folder), folder)


def test_a_persons_own_file_is_never_dropped(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    path = folder / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert_kept(path)  # nobody has recorded it
    assert load(file, folder).address == BY_HAND
    assert_kept(path)
    path.unlink()
    sidecar(path).unlink()
    load(file, folder)
    assert mark_dropped(path, 1)
    path.write_bytes(BODY)  # a person puts back what we dropped
    assert load(file, folder).address == BY_HAND
    assert_kept(path)
    path.unlink()
    load(file, folder)
    path.write_bytes(OTHER[:-1])  # or replaces what we loaded
    assert_kept(path)


def assert_kept(path: Path) -> None:
    content = path.read_bytes()
    assert not mark_dropped(path, 1)
    drop_downloaded(path.parent)
    assert path.read_bytes() == content
    assert dropped_parts(path) is None


def test_downloaded_files_can_be_dropped_all_together(server: Server, folder: Path):
    names = [NAME, "bert/vocab.txt", "a.json"]
    files = [remote(server.serve(f"/{name}", BODY), name=name, body=None) for name in names]
    raws = [load(file, folder) for file in files]
    drop_downloaded(folder)
    drop_downloaded(folder / "nowhere")
    for file, raw in zip(files, raws, strict=True):
        assert not raw.path.exists()
        assert dropped_parts(raw.path) is None
        assert load(file, folder) == raw
    drop_downloaded(folder)
    server.serve(f"/{NAME}", OTHER)
    fails(files[0], folder, "another corpus.bin than on the first download")


def test_a_file_that_another_program_writes_to_is_not_kept(server, folder, monkeypatch):
    download = gdown.download

    def disturbed(url: str, output: str, **options: object) -> None:
        download(url, output, **options)
        with Path(output).open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(gdown, "download", disturbed)
    file = remote(server.serve("/a", BODY))
    fails(file, folder, "another program", "2,300,004 bytes, not the 2,300,000")
    assert not sidecar(folder / NAME).exists()
    monkeypatch.undo()
    assert_right(load(file, folder), folder)


def test_a_broken_record_is_named(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    path = load(file, folder).path
    for text in ("", "[]", "{}", '{"blake3": 1}', "\0"):
        sidecar(path).write_text(text)
        with pytest.raises(DataError, match="is no record of a raw file"):
            load(file, folder)


def test_a_disk_too_small_is_said_before_the_download(server, folder, leave):
    leave(1_000_000)
    address = server.serve("/a", BODY)
    for file in (remote(address), remote(address, body=None)):
        fails(file, folder, NAME, "free some space")
    assert server.bodies("/a") == []
    with Downloader(warn=pytest.fail) as downloader:
        with pytest.raises(DataError, match="free some space"):
            downloader.check_space([remote(address)], folder)
        downloader.check_space([remote(address, body=b"1"), remote(address, body=None)], folder)
        (folder / STAGING / f"{NAME}12345678.part").write_bytes(BODY[:-1000])
        downloader.check_space([remote(address)], folder)


def test_a_disk_too_small_for_two_sources_is_said_before_the_second(server, folder, leave):
    leave(3_000_000)
    other = folder.with_name("other")
    address = server.serve("/a", BODY)
    with Downloader(warn=only_waits) as downloader:
        downloader.check_space([remote(address)], folder)
        downloader.check_space([remote(address)], folder)  # the same file is needed once
        with pytest.raises(DataError, match=r"corpus and \S+other takes 0.00 GB more"):
            downloader.check_space([remote(address)], other)
        downloader.check_space([remote(address, body=b"1")], other)  # what was refused is forgotten
        downloader.abandon(folder)
        downloader.check_space([remote(address)], other)
        with pytest.raises(DataError, match="free some space"):
            downloader.check_space([remote(address)], folder)
        downloader.submit(remote(address), other).result(timeout=5)
        downloader.check_space([remote(address, name="gone")], folder)
        with pytest.raises(DataError, match="404"):
            downloader.submit(remote(server.address("/gone"), name="gone"), folder).result(5)
        downloader.check_space([remote(address)], other.with_name("third"))


def test_a_full_disk_is_an_error_of_the_disk(server, folder, monkeypatch):
    def full(url: str, output: str, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gdown, "download", full)
    with pytest.raises(OSError, match=NAME) as caught:
        load(remote(server.serve("/a", BODY)), folder)
    assert caught.value.errno == errno.ENOSPC
    assert not (folder / NAME).exists()
