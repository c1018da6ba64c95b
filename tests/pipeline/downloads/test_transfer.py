"""Downloads over a line that drops: the file is right, or the error is clear."""

import hashlib
import io
import re
import sys
from pathlib import Path

import gdown
import pytest

from pipeline.downloads import answers, transfer
from pipeline.downloads.downloader import STAGING
from pipeline.downloads.raw_files import sidecar
from pipeline.sources import RemoteFile
from tests.pipeline.downloads.loading import (
    BODY,
    CUT,
    NAME,
    OTHER,
    assert_right,
    fails,
    load,
    remote,
)
from tests.pipeline.downloads.servers import Server


def test_a_file_is_downloaded_once(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    assert_right(load(file, folder), folder)
    asked = len(server.requests)
    assert_right(load(file, folder), folder)
    assert len(server.requests) == asked
    assert {one.agent for one in server.requests} == {answers.USER_AGENT}
    assert re.match(r"Hearth/\d", answers.USER_AGENT)
    assert (folder / NAME).stat().st_mode == sidecar(folder / NAME).stat().st_mode


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_each_kind_of_checksum_is_verified(server: Server, folder: Path, kind: str):
    address = server.serve("/a", BODY)
    right = hashlib.new(kind, BODY).hexdigest()
    wrong = hashlib.new(kind, OTHER).hexdigest()
    fails(RemoteFile(NAME, (address,), None, f"{kind}:{wrong}"), folder, kind, right, wrong)
    assert_right(
        load(RemoteFile(NAME, (address,), None, f"{kind}:{right.upper()}"), folder), folder
    )


def test_a_connection_that_closes_once_is_taken_up_where_it_closed(server: Server, folder: Path):
    address = server.serve("/a", BODY, sends=lambda start: CUT if start == 0 else len(BODY))
    assert_right(load(remote(address), folder), folder)
    assert server.bodies("/a") == [None, None, "bytes=1048576-"]


def test_a_connection_may_close_more_often_than_there_are_attempts(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "PAUSES", (0.01,))
    address = server.serve("/a", BODY, sends=lambda start: 600_000)
    assert_right(load(remote(address, body=None), folder), folder)
    assert len([one for one in server.bodies("/a") if one]) == 4


def test_gdown_retries_in_place(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transfer, "RETRIES_IN_PLACE", 1)
    monkeypatch.setattr(transfer, "PAUSES", ())
    address = server.serve("/a", BODY, sends=lambda start: CUT if start == 0 else len(BODY))
    assert_right(load(remote(address), folder), folder)


def test_a_server_without_ranges_starts_over(server: Server, folder: Path):
    address = server.serve("/a", BODY, ranges=False, sends=lambda start: CUT)
    fails(remote(address), folder, address, "IncompleteRead")
    assert transfer.loaded_bytes(folder / STAGING / NAME) == 1 << 20
    server.serve("/a", BODY, ranges=False)
    assert_right(load(remote(address), folder), folder)
    assert set(server.bodies("/a")) == {None}


@pytest.mark.parametrize("announced", [1000, -1000])
def test_a_length_that_is_not_the_published_one_goes_to_the_next_address(
    server: Server, folder: Path, announced: int
):
    lying = server.serve("/lying", BODY, announced=announced)
    fails(remote(lying), folder, f"it has {len(BODY) + announced:,} bytes")
    assert server.bodies("/lying") == []
    assert_right(load(remote(lying, server.serve("/a", BODY)), folder), folder)


@pytest.mark.parametrize("announced", [1000, -1000])
def test_a_false_length_is_found_by_what_comes(server: Server, folder: Path, announced: int):
    lying = server.serve("/lying", BODY, announced=announced)
    file = RemoteFile(NAME, (lying,), None, remote().checksum)
    fails(file, folder, lying)
    assert_right(load(remote(server.serve("/a", BODY)), folder), folder)


def test_a_flipped_byte_is_found(server: Server, folder: Path):
    flipped = bytearray(BODY)
    flipped[1000] ^= 1
    bad = server.serve("/bad", bytes(flipped))
    fails(remote(bad), folder, bad, "sha256 is")
    assert not list(folder.rglob("*.part"))
    assert server.bodies("/bad") == [None]
    assert_right(load(remote(bad, server.serve("/a", BODY)), folder), folder)


def test_a_silent_server_is_asked_to_go_on(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "TIMEOUT", (5, 0.4))
    sends = lambda start: CUT if start == 0 else len(BODY)  # noqa: E731
    address = server.serve("/a", BODY, stalls=True, sends=sends)
    assert_right(load(remote(address), folder), folder)
    assert server.bodies("/a")[-1] == "bytes=1048576-"


def test_an_empty_file_is_a_file(server: Server, folder: Path):
    for ranges in (True, False):
        name = f"empty-{ranges}"
        address = server.serve(f"/{name}", b"", ranges=ranges)
        assert_right(load(remote(address, name=name, body=b""), folder), folder, b"")


def test_a_part_that_google_drive_does_not_continue_is_given_up(folder, monkeypatch):
    def drive(url: str, output: str, **options) -> None:
        part = next(Path(output).parent.glob("*.part"))
        if part.stat().st_size:
            raise gdown.DownloadError("Server did not honor the requested byte range")
        options["hasher"].update(BODY)
        part.write_bytes(BODY)
        part.rename(output)

    monkeypatch.setattr(gdown, "download", drive)
    (folder / STAGING).mkdir(parents=True)
    (folder / STAGING / f"{NAME}12345678.part").write_bytes(BODY[:1000])
    assert_right(load(remote("https://drive.google.com/uc?id=0B2Mz"), folder), folder)


def test_where_no_terminal_shows_a_wait_it_is_told(server: Server, folder: Path):
    said: list[str] = []
    load(remote(server.serve("/a", BODY, answers=[(503, {})] * 2)), folder, said.append)
    assert said == ["corpus.bin: HTTP 503 Service Unavailable; next attempt in 0 s"] * 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_far_it_is(server, folder, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(transfer, "PAUSES", (0.2,))
    load(remote(server.serve("/a", BODY, answers=[(503, {})])), folder, pytest.fail)
    shown = screen.getvalue()
    assert "corpus.bin: HTTP 503 Service Unavailable; next attempt in 0 s" in shown
    assert re.search(r"corpus.bin: +\d+%.*/2\.30M \[", shown)
