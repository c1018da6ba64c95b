"""Servers that are busy, or have something else: they are waited for, or left for another."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import gdown
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.downloads import answers, transfer
from pipeline.downloads.answers import parse_retry_after
from tests.pipeline.downloads.loading import BODY, NAME, assert_right, fails, load, remote
from tests.pipeline.downloads.servers import Server, running


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


def test_a_redirect_is_followed(server: Server, folder: Path):
    there = server.serve("/there", BODY, host="localhost")
    server.serve("/a", b"", answers=[(302, {"Location": there})] * 2)
    assert_right(load(remote(server.address("/a")), folder), folder)


def test_a_circle_of_redirects_and_odd_addresses_are_named(server: Server, folder: Path):
    here = server.serve("/a", b"")
    server.pages["/a"].answers = [(302, {"Location": here})] * 99
    server.serve("/b", b"", answers=[(302, {"Location": "ftp://example.invalid/b"})])
    server.serve("/c", b"", answers=[(302, {"Location": "http://[::1"})])
    odd = ["ftp://example.invalid/x", "nothing", "http://", "http://a..b/x", here]
    odd += [server.address("/b"), server.address("/c")]
    fails(remote(*odd), folder, *odd, "redirects", "ftp", "Invalid IPv6 URL", warn=pytest.fail)


def test_a_server_that_is_down_is_named(folder: Path):
    with running() as gone:
        address = gone.address("/a")
    fails(remote(address), folder, address, "refused")


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
