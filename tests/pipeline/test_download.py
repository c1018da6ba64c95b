"""Downloads from a server that misbehaves: the file is right, or the error is clear."""

import errno
import hashlib
import io
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import gdown
import pytest
from blake3 import blake3
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.downloads import answers, transfer
from pipeline.downloads.answers import parse_retry_after
from pipeline.downloads.downloader import STAGING, Downloader
from pipeline.downloads.mirror import mirrored, open_mirror, parse_sums
from pipeline.downloads.raw_files import (
    RawFile,
    dropped_parts,
    forget_dropped,
    mark_dropped,
    sidecar,
)
from pipeline.sources import RemoteFile
from shards.errors import DataError
from tests.pipeline.servers import Server, running

ROOT = Path(__file__).parents[2]
BODY = random.Random(1).randbytes(2_300_000)
OTHER = random.Random(2).randbytes(len(BODY))
CUT = 1_200_000
"""gdown writes half a megabyte at a time, so two writes are done before such a cut."""
NAME = "corpus.bin"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.02, 0.03))
    monkeypatch.setattr(transfer, "RETRIES_IN_PLACE", 0)


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "corpus"


def remote(*addresses: str, name: str = NAME, body: bytes | None = BODY) -> RemoteFile:
    """Return a file whose size and sum are published, unless `body` is None."""
    if body is None:
        return RemoteFile(name, addresses)
    return RemoteFile(name, addresses, len(body), f"sha256:{hashlib.sha256(body).hexdigest()}")


def load(file: RemoteFile, folder: Path, warn: Callable[[str], None] = pytest.fail, **options):
    with Downloader(warn=warn, **options) as downloader:
        return downloader.submit(file, folder).result(timeout=20)


def assert_right(raw: RawFile, folder: Path, body: bytes = BODY, *, published: bool = True) -> None:
    path = folder / raw.name
    assert path.read_bytes() == body
    assert (raw.path, raw.blake3) == (path, blake3(body).hexdigest())
    assert raw.is_published is published
    record = json.loads(sidecar(path).read_text())
    assert record["blake3"] == raw.blake3
    assert record["bytes"] == len(body)
    assert record["address"] == raw.address
    assert not (folder / STAGING).exists()


def fails(file: RemoteFile, folder: Path, *words: str, **options) -> DataError:
    """Assert that the download fails, that the error holds the words, and that no file is left."""
    with pytest.raises(DataError) as caught:
        load(file, folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    assert not (folder / file.name).exists()
    return caught.value


# --- the line and the server -------------------------------------------------


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


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_after_the_time_it_names(
    server: Server, folder: Path, status: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "PAUSES", (30.0,) * 3)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    times = [(status, {"Retry-After": "0"}), (status, {"Retry-After": date})]
    address = server.serve("/a", BODY, answers=times)
    assert_right(load(remote(address), folder), folder)


def test_a_server_that_stays_busy_is_left(server: Server, folder: Path):
    busy = server.serve("/busy", BODY, answers=[(503, {})] * 99)
    file = remote(busy, server.serve("/a", BODY))
    assert_right(load(file, folder), folder)
    assert len(server.requests) == 1 + transfer.HASTY_PAUSES + 2
    (folder / NAME).unlink()
    error = fails(remote(busy), folder, f"{busy}: HTTP 503")
    assert "python cli.py fetch corpus --from FILE" in error.remedy


def test_a_server_is_not_obeyed_for_ever(server: Server, folder: Path, monkeypatch):
    monkeypatch.setattr(answers, "LONGEST_PAUSE", 0.05)
    address = server.serve("/a", BODY, answers=[(429, {"Retry-After": "86400"})])
    assert_right(load(remote(address), folder), folder)


@given(st.one_of(st.text(), st.integers().map(str), st.datetimes().map(format_datetime)))
@example("Wed, 21 Oct 2015 07:28:00 -0000")
@example("9" * 400)
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_retry_after_is_a_pause_or_nothing(value: str):
    seconds = parse_retry_after(value)
    assert seconds is None or 0 <= seconds <= answers.LONGEST_PAUSE


def test_a_missing_file_is_looked_for_at_the_next_address(server: Server, folder: Path):
    file = remote(server.address("/gone"), server.serve("/a", BODY))
    raw = load(file, folder)
    assert_right(raw, folder)
    assert raw.address == file.addresses[1]
    assert [one.path for one in server.requests][:2] == ["/gone", "/a"]


@pytest.mark.parametrize("published", [BODY, None])
def test_a_web_page_instead_of_the_file_goes_to_the_next_address(
    server: Server, folder: Path, published: bytes | None
):
    page = b"<!DOCTYPE html><title>Sign in</title>"
    addresses = [
        server.serve("/login", page, type="text/html; charset=utf-8"),
        server.serve("/portal", b"\n" + page, type="application/zip"),
    ]
    error = fails(remote(*addresses, body=published), folder, *addresses)
    assert error.problem.count("a web page") == (2 if published is None else 1)
    assert server.bodies("/login") == []
    file = remote(*addresses, server.serve("/a", BODY), body=published)
    assert_right(load(file, folder), folder)


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


def test_a_redirect_is_followed(server: Server, folder: Path):
    there = server.serve("/there", BODY, host="localhost")
    server.serve("/a", b"", answers=[(302, {"Location": there})] * 2)
    assert_right(load(remote(server.address("/a")), folder), folder)


def test_a_circle_of_redirects_and_odd_addresses_are_named(server: Server, folder: Path):
    here = server.serve("/a", b"")
    server.pages["/a"].answers = [(302, {"Location": here})] * 99
    server.serve("/b", b"", answers=[(302, {"Location": "ftp://example.invalid/b"})])
    odd = ["ftp://example.invalid/x", "nothing", "http://", here, server.address("/b")]
    fails(remote(*odd), folder, *odd, "redirects", "ftp")


def test_a_server_that_is_down_is_named(folder: Path):
    with running() as gone:
        address = gone.address("/a")
    fails(remote(address), folder, address, "refused")


def test_an_empty_file_is_a_file(server: Server, folder: Path):
    for ranges in (True, False):
        name = f"empty-{ranges}"
        address = server.serve(f"/{name}", b"", ranges=ranges)
        assert_right(load(remote(address, name=name, body=b""), folder), folder, b"")


# --- resuming ----------------------------------------------------------------


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


def test_what_waits_is_cancelled_by_an_exception(server: Server, folder: Path):
    gate = threading.Event()
    files = [remote(server.serve(f"/{n}", BODY, gate=gate), name=f"{n}") for n in range(3)]
    futures: list[Future[RawFile]] = []

    def run() -> None:
        with Downloader(warn=pytest.fail) as downloader:
            futures.extend(downloader.submit(file, folder) for file in files)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=5)
    assert not any((folder / file.name).exists() for file in files)


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


# --- what is on disk ---------------------------------------------------------


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


def test_a_job_between_two_addresses_is_cancelled_too(server: Server, folder: Path):
    gate = threading.Event()
    held = remote(server.serve("/held", BODY, gate=gate), name="held")
    gone = server.address("/gone", "localhost")
    between = remote(gone, server.serve("/a", BODY))
    futures: list[Future[RawFile]] = []

    def run() -> None:
        with Downloader(warn=pytest.fail) as downloader:
            futures.extend(downloader.submit(file, folder) for file in (held, between))
            while "/gone" not in {one.path for one in server.requests}:
                time.sleep(0.01)
            time.sleep(0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=5)


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


def test_offline_touches_no_network(server: Server, folder: Path):
    address = server.serve("/a", BODY)
    for options in ({}, {"base_url": server.address("")}):
        error = fails(remote(address), folder, "--offline", address, offline=True, **options)
        assert str(folder / NAME) in error.problem
    assert server.requests == []


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


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "c:x", "a\\b", "a\0"])
def test_a_name_cannot_lead_out_of_the_folder(folder: Path, name: str):
    with pytest.raises(DataError, match="no name for a raw file"):
        load(RemoteFile(name, ()), folder)


def test_a_name_may_hold_a_subfolder(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY), name="bert/vocab.txt")
    assert_right(load(file, folder), folder)


def test_a_file_without_an_address_is_an_error(folder: Path):
    fails(RemoteFile(NAME, ()), folder, "no address")


# --- hosts -------------------------------------------------------------------


def test_three_hosts_serve_at_once_and_no_fourth(server: Server, folder: Path):
    barrier, gate = threading.Barrier(3), threading.Event()
    hosts = ["127.0.0.1", "localhost", "127.0.0.2", "127.0.0.3"]
    files = []
    for number, host in enumerate(hosts):
        held = {"barrier": barrier, "gate": gate} if number < 3 else {}
        address = server.serve(f"/{number}", BODY, host=host, **held)
        files.append(remote(address, name=str(number)))
    with Downloader(warn=pytest.fail) as downloader:
        futures = [downloader.submit(file, folder) for file in files]
        while barrier.n_waiting or len(server.requests) < 6:
            time.sleep(0.01)
        assert not barrier.broken
        assert "/3" not in {one.path for one in server.requests}
        gate.set()
        for future in futures:
            assert future.result(timeout=10).path.read_bytes() == BODY


def test_a_host_serves_one_file_at_a_time_and_holds_up_no_other(server: Server, folder: Path):
    gate = threading.Event()
    held = remote(server.serve("/held", BODY, gate=gate), name="held")
    # Their first address, on a host that is free, fails; the second is on the busy host.
    waiting = [
        remote(server.address(f"/gone{n}", "localhost"), server.serve(f"/w{n}", BODY), name=f"w{n}")
        for n in range(4)
    ]
    free = remote(server.serve("/free", BODY, host="127.0.0.2"), name="free")
    with Downloader(warn=pytest.fail) as downloader:
        first = downloader.submit(held, folder)
        others = [downloader.submit(file, folder) for file in waiting]
        assert downloader.submit(free, folder).result(timeout=5).path.read_bytes() == BODY
        while "/gone3" not in {one.path for one in server.requests}:
            time.sleep(0.01)
        assert not first.done()
        assert not {one.path for one in server.requests} & {"/w0", "/w1", "/w2", "/w3"}
        gate.set()
    for future in [first, *others]:
        assert future.result(timeout=0).path.read_bytes() == BODY
    order = [one.path for one in server.requests if one.path in ("/w0", "/w1", "/w2", "/w3")]
    assert all(order[n] == order[n + 1] for n in range(0, len(order), 2))


# --- one's own mirror --------------------------------------------------------


@pytest.fixture(params=["folder", "file", "server"])
def mirror(request: pytest.FixtureRequest, tmp_path: Path, server: Server):
    """A mirror's base_url, and a function that puts files into it."""
    base = tmp_path / "my mirror"
    base.mkdir()

    def put(path: str, body: bytes) -> None:
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_bytes(body)
        server.serve(f"/my mirror/{path}", body)

    urls = {
        "folder": str(base),
        "file": base.as_uri(),
        "server": server.address("/my%20mirror") + "/",
    }
    return urls[request.param], put


MIRRORED = "https://example.invalid/a%20b/corpus.bin?download=1"
IN_MIRROR = "example.invalid/a b/"


def sums_line(body: bytes, name: str = NAME) -> bytes:
    return f"# comment\n\n{hashlib.sha256(body).hexdigest()} *./{name}\n".encode()


def test_a_mirror_is_used_instead_of_the_addresses(mirror, folder: Path):
    base_url, put = mirror
    put(IN_MIRROR + NAME, BODY)
    gone = "https://gone.invalid/x"
    raw = load(remote(gone, MIRRORED), folder, base_url=base_url)
    assert_right(raw, folder)
    assert "example.invalid" in raw.address
    (folder / NAME).unlink()
    fails(remote(gone), folder, "gone.invalid/x", base_url=base_url)


def test_a_mirror_of_a_drive_file_is_named_by_id(mirror, folder: Path):
    base_url, put = mirror
    put(f"drive.google.com/0B2Mz_-x/{NAME}", BODY)
    file = remote("https://drive.google.com/uc?id=0B2Mz_-x", body=BODY)
    assert_right(load(file, folder, base_url=base_url), folder)


def test_another_file_in_a_mirror_is_one_warning(mirror, folder: Path):
    base_url, put = mirror
    put(IN_MIRROR + NAME, BODY[:-5])
    warnings: list[str] = []
    raw = load(remote(MIRRORED), folder, warnings.append, base_url=base_url)
    assert_right(raw, folder, BODY[:-5], published=False)
    assert len(warnings) == 1
    assert "is not the published file: it has 2,299,995 bytes" in warnings[0]
    assert load(remote(MIRRORED), folder, base_url=base_url) == raw
    with pytest.raises(DataError, match=r"is not the published file .* give --base-url again"):
        load(remote(MIRRORED), folder)


def test_a_list_of_sums_in_a_mirror_is_insisted_on(mirror, folder: Path):
    base_url, put = mirror
    put(IN_MIRROR + NAME, BODY)
    put(IN_MIRROR + "SHA256SUMS", sums_line(OTHER))
    fails(remote(MIRRORED), folder, "sha256 is", base_url=base_url)
    put(IN_MIRROR + "SHA256SUMS", sums_line(OTHER, "another"))
    assert_right(load(remote(MIRRORED), folder, base_url=base_url), folder)


@pytest.mark.parametrize("published", [BODY, OTHER])
def test_a_list_of_sums_in_a_mirror_does_not_make_a_file_published(mirror, folder, published):
    base_url, put = mirror
    put(IN_MIRROR + NAME, BODY)
    put(IN_MIRROR + "SHA256SUMS", sums_line(BODY))
    raw = load(remote(MIRRORED, body=published), folder, base_url=base_url)
    assert_right(raw, folder, published=published is BODY)


def test_a_list_of_sums_that_cannot_be_read_is_an_error(mirror, folder: Path):
    base_url, put = mirror
    put(IN_MIRROR + NAME, BODY)
    put(IN_MIRROR + "SHA256SUMS", b"\xff\xfe nothing\n")
    fails(remote(MIRRORED), folder, "line 1 of", "SHA256SUMS", base_url=base_url)


def test_a_busy_mirror_does_not_hide_its_list_of_sums(server: Server, folder: Path):
    server.serve("/m/example.invalid/a b/corpus.bin", BODY)
    server.serve("/m/example.invalid/a b/SHA256SUMS", sums_line(OTHER), answers=[(503, {})] * 99)
    fails(remote(MIRRORED), folder, "503", base_url=server.address("/m"))


def test_a_local_mirror_is_fine_offline(tmp_path: Path, folder: Path):
    path = tmp_path / IN_MIRROR / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    raw = load(remote(MIRRORED), folder, base_url=str(tmp_path), offline=True)
    assert_right(raw, folder)
    assert raw.address == str(path)


@pytest.mark.parametrize("base_url", ["ftp://host/tree", "no/such/folder", "file:///no/such"])
def test_a_mirror_that_cannot_be_is_refused(base_url: str):
    with pytest.raises(DataError, match="--base-url"):
        open_mirror(base_url)


SEGMENT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(SEGMENT, min_size=1, max_size=4))
@example(["..", "x"])
@example(["a/b", "x"])
@example([".", "100% #?;ü"])
def test_any_address_has_one_place_inside_the_mirror_or_none(names: list[str]):
    address = "https://Example.org/" + "/".join(quote(name, safe="") for name in names) + "?q=1"
    is_plain = not any(re.search(r"[/\\\0]", name) or name in (".", "..") for name in names)
    if not is_plain:
        with pytest.raises(DataError, match="no place in a mirror"):
            mirrored(Path("/m"), address, "name")
        return
    assert mirrored(Path("/m"), address, "name") == Path("/m", "example.org", *names)
    served = urlsplit(str(mirrored("http://h:1/m", address, "name")))
    parts = [unquote(one) for one in served.path.split("/")]
    assert parts == ["", "m", "example.org", *names]
    assert (served.query, served.fragment) == ("", "")


@given(
    st.dictionaries(
        st.text(
            st.characters(exclude_characters="\n\r\\", exclude_categories=["Cs"]), min_size=1
        ).filter(lambda name: not name.startswith("./")),
        st.binary(min_size=32, max_size=32),
    ),
    st.sampled_from(["  ", " *", "  ./"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_list_of_sums_is_read_as_it_was_written(sums, between, newline):
    text = "".join(f"{value.hex().upper()}{between}{name}{newline}" for name, value in sums.items())
    assert parse_sums(text, "x") == {name: value.hex() for name, value in sums.items()}


@given(st.text())
@example("\\" + "0" * 64 + "  a\\\\b")
@example("SHA256 (x) = " + "0" * 64)
@example("0" * 64 + "  a\n" + "1" * 64 + "  a")
def test_any_text_is_a_list_of_sums_or_an_error(text: str):
    try:
        sums = parse_sums(text, "the list")
    except DataError:
        assert text.strip()
    else:
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in sums.values())


# --- Google Drive and the screen ---------------------------------------------


def test_a_refusal_of_google_drive_goes_to_the_next_address(server, folder, monkeypatch):
    download = gdown.download

    def refuse(url: str, output: str, **options: object):
        if "drive.google.com" in url:
            reason = (
                "Failed to retrieve file url:\n\n\tToo many users have viewed it.\n\nYou may still"
            )
            raise gdown.FileURLRetrievalError(reason)
        return download(url, output, **options)

    monkeypatch.setattr(gdown, "download", refuse)
    drive = "https://drive.google.com/uc?id=0B2Mzhc7popBga2RkcWZNcjlRTGM"
    fails(remote(drive), folder, f"{drive}: Google Drive: Too many users have viewed it.)")
    assert_right(load(remote(drive, server.serve("/a", BODY)), folder), folder)


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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_far_it_is(server, folder, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(transfer, "PAUSES", (0.2,))
    load(remote(server.serve("/a", BODY, answers=[(503, {})])), folder)
    shown = screen.getvalue()
    assert "corpus.bin: HTTP 503 Service Unavailable; next attempt in 0 s" in shown
    assert re.search(r"corpus.bin: +\d+%.*/2\.30M \[", shown)
