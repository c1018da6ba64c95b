"""Downloads taken up by another run, which never joins halves of two files."""

import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, Future
from pathlib import Path

import pytest

from pipeline.downloads import transfer
from pipeline.downloads.downloader import STAGING, Downloader
from pipeline.downloads.raw_files import RawFile
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

ROOT = Path(__file__).parents[3]


def interrupt(server: Server, file: RemoteFile, folder: Path) -> Future[RawFile]:
    """Begin a download whose server falls silent, and press Ctrl-C."""
    page = server.pages["/a"]
    page.stalls, page.sends = True, lambda start: CUT
    future: Future[RawFile] = Future()

    def run() -> None:
        nonlocal future
        with Downloader(warn=pytest.fail) as downloader:
            future = downloader.submit(file, folder)
            deadline = time.monotonic() + 10
            while transfer.loaded_bytes(folder / STAGING / NAME) < 1 << 20:
                time.sleep(0.01)
                assert time.monotonic() < deadline
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not (folder / NAME).exists()
    page.stalls, page.sends = False, None
    return future


def test_an_interrupted_download_is_taken_up_by_the_next_run(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY))
    begun = time.monotonic()
    future = interrupt(server, file, folder)
    assert time.monotonic() < begun + 3
    with pytest.raises(CancelledError):
        future.result()
    there = transfer.loaded_bytes(folder / STAGING / NAME)
    assert_right(load(file, folder), folder)
    assert server.bodies("/a")[-1] == f"bytes={there}-"


def test_a_killed_process_is_followed_by_another(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY, stalls=True, sends=lambda start: CUT))
    code = (
        "import sys, pathlib\n"
        "from pipeline.downloads.downloader import Downloader\n"
        "from pipeline.sources import RemoteFile\n"
        f"file = RemoteFile({NAME!r}, ({file.addresses[0]!r},), {file.bytes}, {file.checksum!r})\n"
        "with Downloader(warn=print) as downloader:\n"
        f"    downloader.submit(file, pathlib.Path({str(folder)!r})).result()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        while transfer.loaded_bytes(folder / STAGING / NAME) < 1 << 20:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (folder / NAME).exists()
    server.pages["/a"].sends = None
    assert_right(load(file, folder), folder)
    assert server.bodies("/a")[-1] == "bytes=1048576-"


def test_a_file_that_changed_between_two_runs_is_not_spliced(server: Server, folder: Path):
    file = remote(server.serve("/a", OTHER), body=None)
    interrupt(server, file, folder)
    server.serve("/a", BODY, etag='"2"')
    assert_right(load(file, folder), folder)
    assert server.bodies("/a")[-1] is None


def test_a_splice_of_a_file_with_a_published_sum_is_loaded_anew(server: Server, folder: Path):
    file = remote(server.serve("/a", OTHER))
    interrupt(server, file, folder)
    server.serve("/a", BODY, etag='"2"')
    assert_right(load(file, folder), folder)
    assert server.bodies("/a")[-2:] == ["bytes=1048576-", None]


def test_a_file_that_changes_in_between_attempts_is_not_spliced(server: Server, folder: Path):
    def change(start: int) -> int:
        server.pages["/a"] = replacement
        return CUT

    file = remote(server.serve("/a", BODY), body=None)
    replacement = server.pages["/a"]
    server.serve("/a", OTHER, etag='"0"', sends=change)
    assert_right(load(file, folder), folder)


def test_without_a_sum_and_a_validator_nothing_is_resumed(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY, etag=None), body=None)
    interrupt(server, file, folder)
    assert_right(load(file, folder), folder)
    assert set(server.bodies("/a")) == {None}


def test_a_published_sum_lets_another_address_go_on(server: Server, folder: Path):
    address = server.serve("/a", BODY)
    interrupt(server, remote(address), folder)
    file = remote(server.serve("/b", BODY, etag=None), address)
    assert_right(load(file, folder), folder)
    assert server.bodies("/b")[-1] == "bytes=1048576-"


def test_the_largest_of_several_parts_is_kept(server: Server, folder: Path):
    staging = folder / STAGING
    staging.mkdir(parents=True)
    (staging / f"{NAME}abcdefgh.part").write_bytes(BODY[:1000])
    (staging / f"{NAME}_2345678.part").write_bytes(BODY[:2000])
    (staging / f"{NAME}x.part").write_bytes(b"of another file")
    raw = load(remote(server.serve("/a", BODY)), folder)
    assert raw.path.read_bytes() == BODY
    assert server.bodies("/a")[-1] == "bytes=2000-"
    assert [path.name for path in staging.iterdir()] == [f"{NAME}x.part"]


@pytest.mark.parametrize("suffix", ["", "12345678.part"])
def test_a_run_killed_before_the_file_got_its_name_is_finished(server, folder, suffix):
    (folder / STAGING).mkdir(parents=True)
    (folder / STAGING / (NAME + suffix)).write_bytes(BODY)
    assert_right(load(remote(server.serve("/a", BODY)), folder), folder)
    assert server.bodies("/a") == []


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_whole_part_that_is_wrong_is_loaded_anew(server, folder, extra):
    (folder / STAGING).mkdir(parents=True)
    (folder / STAGING / f"{NAME}12345678.part").write_bytes(OTHER + extra)
    assert_right(load(remote(server.serve("/a", BODY)), folder), folder)
    assert server.bodies("/a") == [None]


def test_a_missing_file_and_a_web_page_leave_what_is_loaded(server: Server, folder: Path):
    address = server.serve("/a", BODY)
    interrupt(server, remote(address), folder)
    page = server.serve("/page", b"<html>", type="text/html")
    fails(remote(server.address("/gone"), page), folder, "404", "web page")
    assert transfer.loaded_bytes(folder / STAGING / NAME) == 1 << 20
