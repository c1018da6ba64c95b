"""Several files at a time: who may go on, who waits, and what is cancelled."""

import threading
import time
from concurrent.futures import CancelledError, Future
from pathlib import Path

import pytest

from pipeline.downloads.downloader import Downloader
from pipeline.downloads.raw_files import RawFile
from pipeline.sources import RemoteFile
from shards.errors import DataError
from tests.pipeline.downloads.loading import (
    BODY,
    NAME,
    assert_right,
    fails,
    load,
    only_waits,
    remote,
)
from tests.pipeline.downloads.servers import Server


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


def test_an_abandoned_folder_ends_and_holds_up_no_other(server: Server, folder: Path):
    gate = threading.Event()
    addresses = {
        "running": (server.serve("/running", BODY, gate=gate),),
        "waiting": (server.serve("/waiting", BODY),),
        "between": (server.address("/gone", "localhost"), server.serve("/between", BODY)),
    }
    with Downloader(warn=only_waits) as downloader:
        futures = [downloader.submit(remote(*addresses[n], name=n), folder) for n in addresses]
        other = downloader.submit(remote(server.serve("/a", BODY)), folder / "other")
        while not {"/running", "/gone"} <= {one.path for one in server.requests}:
            time.sleep(0.01)
        downloader.abandon(folder)
        for future in futures:
            with pytest.raises(CancelledError):
                future.result(timeout=5)
        assert_right_soon(other, folder / "other")
        again = downloader.submit(remote(*addresses["waiting"], name="waiting"), folder)
        assert again.result(timeout=5).path.read_bytes() == BODY
    assert not (folder / "running").exists()
    assert {"/between"}.isdisjoint(one.path for one in server.requests)


def assert_right_soon(future: Future[RawFile], folder: Path) -> None:
    assert future.result(timeout=5).path.read_bytes() == BODY
    assert future.result().path.parent == folder


def test_a_job_that_cannot_be_begun_fails_alone(server: Server, folder: Path):
    odd = [remote("http://[::1/x", name=f"odd{n}") for n in range(5)]
    between = remote(server.address("/gone"), "http://[::1/x", name="between")
    with Downloader(warn=pytest.fail) as downloader:
        futures = [downloader.submit(file, folder) for file in (*odd, between)]
        right = downloader.submit(remote(server.serve("/a", BODY)), folder)
        for future in futures:
            with pytest.raises(ValueError, match="Invalid IPv6 URL"):
                future.result(timeout=5)
        assert_right_soon(right, folder)


def test_offline_touches_no_network(server: Server, folder: Path):
    address = server.serve("/a", BODY)
    for options in ({}, {"base_url": server.address("")}):
        error = fails(remote(address), folder, "--offline", address, offline=True, **options)
        assert str(folder / NAME) in error.problem
    assert server.requests == []


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "c:x", "a\\b", "a\0"])
def test_a_name_cannot_lead_out_of_the_folder(folder: Path, name: str):
    with pytest.raises(DataError, match="no name for a raw file"):
        load(RemoteFile(name, ()), folder)


def test_a_name_may_hold_a_subfolder(server: Server, folder: Path):
    file = remote(server.serve("/a", BODY), name="bert/vocab.txt")
    assert_right(load(file, folder), folder)


def test_a_file_without_an_address_is_an_error(folder: Path):
    fails(RemoteFile(NAME, ()), folder, "no address")
