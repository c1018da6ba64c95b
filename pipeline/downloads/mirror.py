"""One's own mirror: a folder, or a server of one, that holds files as HOST/PATH.

A Google Drive file is at `drive.google.com/ID/NAME`. Beside the files may lie a SHA256SUMS, as
`sha256sum` writes it.
"""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from gdown.parse_url import parse_url

from shards.errors import DataError

SUMS_NAME = "SHA256SUMS"
SUMS_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](?:\./)?([^\\]+)")


def open_mirror(base_url: str) -> Path | str:
    """Return a mirror's folder, or the address of its server without a slash at the end.

    Raises:
        DataError: The folder does not exist, or the address is of another kind.
    """
    scheme, separator, _ = base_url.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        return base_url.rstrip("/")
    if separator and scheme.lower() != "file":
        remedy = "name a folder, or an http:// or https:// address, in --base-url"
        raise DataError(f"{base_url} is of a kind that cannot be read", remedy)
    folder = Path(url2pathname(urlsplit(base_url).path)) if separator else Path(base_url)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", "name an existing one in --base-url")
    return folder


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
