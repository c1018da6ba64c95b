"""One's own mirror instead of the addresses, and its list of sums."""

import hashlib
import re
import socket
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.downloads import transfer
from pipeline.downloads.downloader import STAGING
from pipeline.downloads.mirror import mirrored, open_mirror, parse_sums
from shards.errors import DataError
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
from tests.pipeline.downloads.servers import Server, running

MIRRORED = "https://example.invalid/a%20b/corpus.bin?download=1"
IN_MIRROR = "example.invalid/a b/"
UNREACHED_PAUSES = transfer.UNREACHED_PAUSES  # the tests below have shorter ones


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


@pytest.mark.parametrize("base_url", ["no/such/folder", "file:///no/such"])
def test_a_mirror_that_does_not_exist_is_refused(base_url: str):
    with pytest.raises(DataError, match="--base-url"):
        open_mirror(base_url)


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("ftp://me:secret@host/tree", "kind 'ftp'"),
        (" http://host", "kind ' http'"),
        ("http://me:secret@[::1", "cannot be parsed"),
        ("http://", "no host"),
        ("https://me:secret@/tree", "no host"),
        ("http://:80/tree", "no host"),
        ("http://me:sec/ret@host/tree", "a port"),
        ("http://host:65536", "a port"),
    ],
)
def test_a_mirror_that_is_no_address_is_a_bad_option(base_url: str, problem: str):
    with pytest.raises(ValueError, match=f"^--base-url .*{problem}.*name a folder") as caught:
        open_mirror(base_url)
    assert "sec" not in str(caught.value)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example("file://[")
@example("http://h:\u0664")
def test_any_text_is_a_mirror_or_an_error_that_names_the_option(text: str):
    try:
        mirror, problem = open_mirror(text), ""
    except (ValueError, DataError) as error:
        mirror, problem = "", str(error)
    assert "--base-url" in problem or isinstance(mirror, str) or mirror.is_dir()


def test_a_mirror_without_an_address_is_named_at_once(folder: Path):
    fails(
        remote(MIRRORED), folder, "http://a..b/", "label", warn=pytest.fail, base_url="http://a..b"
    )


def test_the_pauses_before_an_unreached_mirror_are_short():
    assert len(UNREACHED_PAUSES) <= 2
    assert sum(UNREACHED_PAUSES) <= 3


def test_a_mirror_that_takes_no_connection_fails_fast(folder: Path, monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (30.0,) * 3)
    with running() as gone:
        base_url = gone.address("/m")
    said: list[str] = []
    fails(remote(MIRRORED), folder, "refused", warn=said.append, base_url=base_url)
    assert len(said) == 2

    def unknown(*address: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (folder / STAGING).mkdir(parents=True)
    (folder / STAGING / f"{NAME}12345678.part").write_bytes(BODY[:1000])
    fails(remote(MIRRORED), folder, "not known", warn=said.append, base_url=base_url)
    assert len(said) == 4


def test_a_mirror_that_falls_silent_midway_is_waited_for(server: Server, folder: Path, monkeypatch):
    def vanish(start: int) -> int:
        server.vanish()
        return CUT

    monkeypatch.setattr(transfer, "UNREACHED_PAUSES", ())
    server.serve(f"/m/{IN_MIRROR}{NAME}", BODY, sends=vanish)
    said: list[str] = []
    base_url = server.address("/m")
    fails(remote(MIRRORED), folder, "refused", warn=said.append, base_url=base_url)
    assert len(said) == len(transfer.PAUSES)
    assert transfer.loaded_bytes(folder / STAGING / NAME) == 1 << 20


def test_a_login_is_used_and_nowhere_written(server: Server, folder: Path):
    base_url = server.address("/m", "me:secret@127.0.0.1")
    address = server.serve(f"/m/{IN_MIRROR}{NAME}", BODY, sends=lambda start: CUT)
    said: list[str] = []
    server.pages[f"/m/{IN_MIRROR}{NAME}"].ranges = False
    errors = [fails(remote(MIRRORED, body=None), folder, warn=said.append, base_url=base_url)]
    assert (folder / STAGING / f"{NAME}.origin.json").is_file()
    assert_no_secret(folder, errors, said)
    server.pages[f"/m/{IN_MIRROR}{NAME}"].sends = None
    raw = load(remote(MIRRORED), folder, base_url=base_url)
    assert raw.address == address.replace(" ", "%20")
    assert {one.login for one in server.requests} == {"Basic bWU6c2VjcmV0"}
    raw.path.unlink()
    server.serve(f"/m/{IN_MIRROR}SHA256SUMS", b"?")
    errors.append(fails(remote(MIRRORED), folder, "line 1 of http://127", base_url=base_url))
    for odd in ("http://me:secret@a b", "http://me:secret@a..b"):
        errors.append(fails(remote(MIRRORED), folder, "://a", base_url=odd))
    assert_no_secret(folder, errors, said)


def assert_no_secret(folder: Path, errors: list[DataError], said: list[str]) -> None:
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert written
    assert not [text for text in written if b"secret" in text]
    assert "secret" not in "".join([*map(str, errors), *said])


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
