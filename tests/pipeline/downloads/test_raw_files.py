"""Raw files that are there already, and a disk without room for them."""

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import gdown
import pytest

from pipeline.downloads.downloader import STAGING, Downloader
from pipeline.downloads.raw_files import dropped_parts, forget_dropped, mark_dropped, sidecar
from pipeline.sources import RemoteFile
from shards.errors import DataError
from tests.pipeline.downloads.loading import BODY, NAME, OTHER, assert_right, fails, load, remote
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
    mark_dropped(raw.path, 3)
    raw.path.unlink()
    assert dropped_parts(raw.path) == 3
    assert load(file, folder, offline=True) == raw
    assert not raw.path.exists()
    assert len(server.bodies("/a")) == 1
    with Downloader(warn=pytest.fail) as downloader:
        downloader.check_space([RemoteFile(NAME, (), 1 << 60)], folder)
    forget_dropped([raw.path, folder / "never seen"])
    assert dropped_parts(raw.path) is None
    assert_right(load(file, folder), folder)


def test_a_broken_record_is_named(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    path = load(file, folder).path
    for text in ("", "[]", "{}", '{"blake3": 1}', "\0"):
        sidecar(path).write_text(text)
        with pytest.raises(DataError, match="is no record of a raw file"):
            load(file, folder)


DiskUsage = namedtuple("DiskUsage", "total used free")


def test_a_disk_too_small_is_said_before_the_download(server, folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: DiskUsage(10**9, 10**9, 1_000_000))
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


def test_a_full_disk_is_an_error_of_the_disk(server, folder, monkeypatch):
    def full(url: str, output: str, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gdown, "download", full)
    with pytest.raises(OSError, match=NAME) as caught:
        load(remote(server.serve("/a", BODY)), folder)
    assert caught.value.errno == errno.ENOSPC
    assert not (folder / NAME).exists()
