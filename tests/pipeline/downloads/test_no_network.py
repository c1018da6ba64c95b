"""Without a network a run ends soon, and says what to do; a line that drops is waited for."""

import errno
import socket
from pathlib import Path

import pytest

from pipeline.downloads import transfer
from pipeline.downloads.answers import NoNetwork
from pipeline.downloads.downloader import Downloader
from shards.errors import DataError
from tests.pipeline.downloads.loading import BODY, CUT, fails, load, remote
from tests.pipeline.downloads.servers import Server, running
from tests.pipeline.fetching import fetch_all

DRIVE = "https://drive.google.com/uc?id=0B2Mzhc7popBga2RkcWZNcjlRTGM"
HERE = "http://first.invalid/a"
REASONS = {
    "a name": socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    "any name": socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "a way": OSError(errno.ENETUNREACH, "Network is unreachable"),
}


@pytest.fixture(params=REASONS)
def cut_off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no host but this machine, and wait long for what is waited for."""
    known = socket.getaddrinfo

    def look_up(host: str, *address: object, **options: object):
        if host == "127.0.0.1":
            return known(host, *address, **options)
        raise REASONS[request.param]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(transfer, "PAUSES", (30.0,) * 3)
    monkeypatch.setattr(transfer, "RETRIES_IN_PLACE", 5)


@pytest.mark.parametrize("address", [HERE, DRIVE])
def test_a_host_that_cannot_be_found_is_tried_three_times(cut_off, address: str, folder: Path):
    said: list[str] = []
    error = fails(remote(address), folder, address, warn=said.append)
    assert len(said) == len(transfer.UNREACHED_PAUSES) == 2
    assert error.remedy.startswith("is there a network? `python cli.py fetch corpus --from FILE`")
    assert error.remedy.endswith("`--offline` never asks")


def test_after_one_host_the_others_are_tried_once(cut_off, folder: Path):
    said: list[str] = []
    addresses = [HERE, "http://second.invalid/a", DRIVE]
    fails(remote(*addresses), folder, *addresses, "network?", warn=said.append)
    assert len(said) == 2


def test_another_host_may_be_here(cut_off, server: Server, folder: Path):
    here = server.serve("/a", BODY)
    assert load(remote(HERE, here), folder).address == here


def test_a_host_that_refuses_is_a_network(cut_off, folder: Path, monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (0.01,))
    with running() as gone:
        address = gone.address("/a")
    error = fails(remote(HERE, address), folder, HERE, address, "refused")
    assert not isinstance(error, NoNetwork)


def test_once_something_has_come_a_host_is_waited_for(cut_off, server, folder, monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (0.01,) * 4)
    there = remote(server.serve("/a", BODY), name="there")
    said: list[str] = []
    with Downloader(warn=said.append) as downloader:
        downloader.submit(there, folder).result(timeout=20)
        with pytest.raises(DataError, match="try again later"):
            downloader.submit(remote(HERE), folder).result(timeout=20)
    assert len(said) == 4


def test_a_line_that_drops_midway_is_waited_for(server: Server, folder: Path, monkeypatch):
    known = socket.getaddrinfo

    def vanish(start: int) -> int:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return CUT

    def look_up(*address: object, **options: object):
        tries.append(address)
        if len(tries) == 5:
            monkeypatch.setattr(socket, "getaddrinfo", known)
        raise REASONS["any name"]

    tries: list[object] = []
    monkeypatch.setattr(transfer, "PAUSES", (0.01,) * 9)
    address = server.serve(
        "/a", BODY, sends=lambda start: vanish(start) if not tries else len(BODY)
    )
    assert load(remote(address), folder).path.read_bytes() == BODY
    assert len(tries) == 5


@pytest.mark.parametrize("name", ["wikitext-2", "wikipedia", "gutenberg", "glue", "vocab"])
def test_every_source_ends_with_what_to_do(cut_off, name: str, tmp_path: Path):
    with pytest.raises(NoNetwork) as caught:
        fetch_all([name], None, tmp_path)
    copies = f"put copies fetched elsewhere into {tmp_path}"
    command = f"`python cli.py fetch {name} --from FILE` reads"
    assert (copies if name in ("glue", "vocab") else command) in caught.value.remedy
    assert caught.value.remedy.endswith("`--offline` never asks")
    assert "\n" not in str(caught.value)
