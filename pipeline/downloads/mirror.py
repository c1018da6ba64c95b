"""One's own mirror: a folder, or a server of one, that holds files as HOST/PATH.

A Google Drive file is at `drive.google.com/ID/NAME`. Beside the files may lie a SHA256SUMS, as
`sha256sum` writes it.
"""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import url2pathname

from gdown.parse_url import parse_url

from pipeline.downloads.answers import NotServed, without_login
from pipeline.downloads.progress import Slot
from pipeline.downloads.transfer import Transfer, clear
from pipeline.sources import RemoteFile
from shards.errors import DataError

SUMS_NAME = "SHA256SUMS"
SUMS_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](?:\./)?([^\\]+)")


def open_mirror(base_url: str) -> Path | str:
    """Return a mirror's folder, or the address of its server without a slash at the end.

    Raises:
        ValueError: The text names neither.
        DataError: The folder does not exist.
    """
    if problem := _problem(base_url):
        raise ValueError(f"--base-url {problem}: name a folder, or an http:// or https:// address")
    scheme, separator, _ = base_url.partition("://")
    if separator and scheme.lower() != "file":
        return base_url.rstrip("/")
    folder = Path(url2pathname(urlsplit(base_url).path)) if separator else Path(base_url)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", "name an existing one in --base-url")
    return folder


def _problem(base_url: str) -> str | None:
    """Return what is wrong with the text, but none of an address: it may hold a password."""
    scheme, separator, _ = base_url.partition("://")
    if not base_url.strip():
        return "is empty"
    if not separator:
        return None
    if scheme.lower() not in ("file", "http", "https"):
        return f"is of the kind {scheme!r}, which cannot be read"
    try:
        parts = urlsplit(base_url)
    except ValueError:
        return "cannot be parsed"
    return None if scheme.lower() == "file" else _host_problem(parts)


def _host_problem(parts: SplitResult) -> str | None:
    if not parts.hostname:
        return "has no host"
    try:
        _ = parts.port
    except ValueError:
        return "has a port that is no number up to 65535"
    return None


def mirrored(mirror: Path | str, address: str, name: str) -> Path | str:
    """Return where the mirror has what is served at `address`: a path or an address.

    Args:
        mirror: From `open_mirror`.
        address: The address of the publisher's file.
        name: The file's own name, which a Drive address does not tell.

    Raises:
        DataError: The address names no place inside the mirror.
    """
    parts = urlsplit(address)
    drive_id = parse_url(address)[0]
    names = [unquote(one) for one in parts.path.split("/") if one]
    if drive_id is not None:
        names = [drive_id, PurePosixPath(name).name]
    names.insert(0, parts.hostname or "")
    if any(one in ("", ".", "..") or re.search(r"[/\\\0]", one) for one in names):
        raise DataError(f"{address} has no place in a mirror", "name a plain address of a file")
    if isinstance(mirror, Path):
        return mirror.joinpath(*names)
    return "/".join([mirror, *(quote(one, safe="") for one in names)])


def listed_sum(place: Path | str, staged: Path, slot: Slot) -> str | None:
    """Return "sha256:HEX" if a SHA256SUMS beside a mirrored file lists it.

    Args:
        place: From `mirrored`.
        staged: Where the file will be loaded to; the list is for a moment beside it.
        slot: Shows progress and stops.

    Raises:
        AddressError: The mirror does not say whether it has such a list.
        DataError: It is none.
    """
    if isinstance(place, Path):
        name, where = place.name, str(place.with_name(SUMS_NAME))
        loaded = Path(where)
        if not loaded.is_file():
            return None
        content = loaded.read_bytes()
    else:
        name, where = unquote(place.rpartition("/")[2]), f"{place.rpartition('/')[0]}/{SUMS_NAME}"
        loaded = staged.with_name(f"{staged.name}.{SUMS_NAME}")
        wanted = RemoteFile(SUMS_NAME, ())
        try:
            Transfer(wanted, where, loaded, is_last=True, is_own=True, slot=slot).load()
        except NotServed:
            return None
        content = loaded.read_bytes()
        clear(loaded)
    text = content.decode(errors="surrogateescape")
    listed = parse_sums(text, without_login(where)).get(name)
    return listed and f"sha256:{listed}"


def parse_sums(text: str, where: str) -> dict[str, str]:
    """Return the SHA-256 of each name that a SHA256SUMS lists.

    Args:
        text: Lines of `HEX  NAME` or `HEX *NAME`; empty ones and those with # are comments.
        where: Its place, for the error.

    Raises:
        DataError: A line is of another form, or a name has two sums.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        found = SUMS_LINE.fullmatch(line)
        if found is None or sums.setdefault(found[2], found[1].lower()) != found[1].lower():
            problem = f"line {number} of {where} is not `SHA256  NAME`, or contradicts another"
            raise DataError(problem, "mend it with `sha256sum * > SHA256SUMS`")
    return sums
