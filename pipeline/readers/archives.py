"""Members of tars and zips, read so that no archive can do harm.

Nothing is written to disk, and no name becomes a path. Refused are members that are no plain files
(links, devices, sparse files), names that are absolute or climb with `..`, encrypted members, and
content larger than a limit, which is checked while unpacking: a header may lie.

`tarfile` ends in silence at a damaged header, and holds a record of every member; so tars are
walked here: POSIX ustar, with the long names and sizes of pax and GNU tar.
"""

import errno
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, TypeVar

from shards.errors import DataError

BLOCK = 512
"""Bytes of a tar's header; contents are padded to a multiple (POSIX pax, "ustar Interchange")."""
TAR_END = bytes(2 * BLOCK)
"""Two blocks of zeros close every tar (the same, "end-of-archive")."""
LARGEST_TAIL = 1 << 20
"""Bytes of zeros that may follow: `tar` fills up a record, of 10,240 bytes by default."""
LARGEST_TEXT = 16 << 20
"""Bytes of a member that is cleaned in one piece, which takes up to 12 times that in memory."""
LARGEST_EXTENSION = 1 << 16
"""Bytes of a pax header or a long name."""

PLAIN_ARCHIVE = "make an archive of plain files without it"
AGAIN = "download it again"

_CLIMBS = re.compile(r"[/\\]|[A-Za-z]:[/\\]|(?:.*[/\\])?\.\.(?:[/\\]|$)", re.DOTALL)
_ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
"""What `zipfile` raises on damaged or hostile input."""
_FILE, _FOLDER = (b"0", b"\0", b"7"), b"5"
_PAX, _LONG_NAME = _EXTENSIONS = (b"x", b"L")
_PASSED_OVER = (b"g", b"K")
"""Fields for all members, and the target of a link that is refused when it comes."""
_PAX_LENGTH = re.compile(rb"[1-9][0-9]{0,6}(?= )")

Content = TypeVar("Content")


def check_name(name: str, where: str) -> None:
    """Refuse a member's name that points outside of its archive."""
    if _CLIMBS.match(name) or "\0" in name:
        raise DataError(f"{where}: the member {name!r} points outside", PLAIN_ARCHIVE)


def too_large(where: str, limit: int) -> DataError:
    """Return the error for a member that unpacks to more than `limit` bytes."""
    problem = f"{where} holds more than {limit:,} bytes"
    if limit == LARGEST_TEXT:
        return DataError(problem, "leave it out, or give it to the source text, which cuts it")
    return DataError(problem, "leave it out, or raise --max-member-size if it is as it should be")


def read_bounded(file: IO[bytes], limit: int, where: str) -> bytes:
    """Return the rest of a stream, unpacking no more than `limit` bytes."""
    raw = file.read(limit + 1)
    if len(raw) > limit:
        raise too_large(where, limit)
    return raw


def walk_tar(file: IO[bytes], where: str, take: Callable[[str, int], Content]) -> Iterator[Content]:
    """Yield what `take` makes of each file in a tar, in order.

    Args:
        file: The tar; it need not seek.
        where: What to call it in an error.
        take: Called with name and size where the content begins in `file`; moves past it.

    Raises:
        DataError: The tar is truncated or damaged, or has a member that is refused.
    """
    extended: dict[str, str] = {}
    while (header := _exactly(file, BLOCK, where)) != TAR_END[:BLOCK]:
        name, size, kind = _parse(header, where)
        if kind in (*_EXTENSIONS, *_PASSED_OVER):
            extended |= _extension(kind, _exactly(file, _small(size, where), where), where)
        else:
            name = extended.get("path", name)
            size = _number(extended["size"], 10, where) if "size" in extended else size
            extended = {}
            check_name(name, where)
            if kind in _FILE and not name.endswith("/"):
                yield take(name, size)
            elif size or kind not in (*_FILE, _FOLDER):
                raise DataError(f"{where}: {name} is a link, a device or the like", PLAIN_ARCHIVE)
        _exactly(file, -size % BLOCK, where)
    tail = file.read(LARGEST_TAIL)
    if tail.strip(b"\0") or len(tail) == LARGEST_TAIL:
        raise DataError(f"{where} goes on after its end", AGAIN)


def tar_texts(file: IO[bytes], where: str, limit: int) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file in a tar; none may have more than `limit` bytes."""

    def take(name: str, size: int) -> tuple[str, bytes]:
        if size > limit:
            raise too_large(f"{where}: {name}", limit)
        return name, _exactly(file, size, where)

    return walk_tar(file, where, take)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; what is wrong with its directory is a DataError."""
    with _zip_errors(str(path)):
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


def zip_members(archive: zipfile.ZipFile, where: str) -> list[zipfile.ZipInfo]:
    """Return the files of a zip sorted by name; nothing is unpacked.

    Raises:
        DataError: A member is refused, or a name is there twice.
    """
    members = [_checked(member, where) for member in archive.infolist() if not member.is_dir()]
    members.sort(key=lambda member: member.filename)
    for one, other in pairwise(members):
        if one.filename == other.filename:
            raise DataError(f"{where} lists {one.filename} twice", AGAIN)
    return members


@contextmanager
def open_zipped(archive: zipfile.ZipFile, name: str, where: str) -> Iterator[IO[bytes]]:
    """Open a member of a zip as a stream whose damage is a DataError.

    Nothing but reading from it may be done in this context.
    """
    with _zip_errors(f"{where}: {name}"), archive.open(name) as file:
        yield file


def read_zipped(archive: zipfile.ZipFile, name: str, where: str, limit: int) -> bytes:
    """Return the content of a zip's member of at most `limit` bytes."""
    with open_zipped(archive, name, where) as file:
        raw = read_bounded(file, limit, f"{where}: {name}")
    if len(raw) != archive.getinfo(name).file_size:
        raise DataError(f"{where}: {name} is not of the size that it claims", AGAIN)
    return raw


def _checked(member: zipfile.ZipInfo, where: str) -> zipfile.ZipInfo:
    name = member.filename
    check_name(name, where)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise DataError(f"{where}: {name} is a link, a device or the like", PLAIN_ARCHIVE)
    if member.flag_bits & 1:
        raise DataError(f"{where}: {name} is encrypted", "unpack it with its password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = f"{where}: {name} is packed by method {member.compress_type}, not by deflate"
        raise DataError(problem, "unpack it and zip it again")
    return member


@contextmanager
def _zip_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (*_ZIP_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the start
            raise
        raise DataError(f"{where} is damaged or no plain zip ({error})", AGAIN) from error


def _exactly(file: IO[bytes], size: int, where: str) -> bytes:
    raw = file.read(size)
    if len(raw) < size:
        raise DataError(f"{where} is truncated, or no tar", AGAIN)
    return raw


def _parse(header: bytes, where: str) -> tuple[str, int, bytes]:
    """Return name, size and kind of a member, after checking the sum of its header."""
    checksum = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if _octal(header[148:156], where) != checksum:
        raise DataError(f"{where} is damaged, or no tar", AGAIN)
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and (prefix := _text(header[345:500])):
        name = f"{prefix}/{name}"
    return name, _octal(header[124:136], where), header[156:157]


def _octal(field: bytes, where: str) -> int:
    """Return a numeric field: octal digits, or GNU tar's big-endian binary."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    return _number(_text(field).strip() or "0", 8, where)


def _number(digits: str, base: int, where: str) -> int:
    if not re.fullmatch("[0-7]{1,21}" if base == 8 else "[0-9]{1,18}", digits):
        raise DataError(f"{where} is damaged: {digits[:20]!r} is no number", AGAIN)
    return int(digits, base)


def _small(size: int, where: str) -> int:
    if size > LARGEST_EXTENSION:
        raise DataError(f"{where} has a header of {size:,} bytes", PLAIN_ARCHIVE)
    return size


def _extension(kind: bytes, payload: bytes, where: str) -> dict[str, str]:
    """Return what an extended header says of the member that follows."""
    if kind in _PASSED_OVER:
        return {}
    return {"path": _text(payload)} if kind == _LONG_NAME else _pax(payload, where)


def _pax(payload: bytes, where: str) -> dict[str, str]:
    """Return the fields of a pax header, which has records of LENGTH, space, KEY=VALUE, newline."""
    fields = {}
    begin = 0
    while begin < len(payload):
        length = _PAX_LENGTH.match(payload, begin)
        end = begin + int(length[0]) if length else 0
        if length is None or not length.end() < end <= len(payload):
            raise DataError(f"{where} has a damaged pax header", AGAIN)
        key, _, value = payload[length.end() + 1 : end - 1].partition(b"=")
        fields[key.decode(errors="replace")] = value.decode(errors="replace")
        begin = end
    if any(key.startswith("GNU.sparse.") for key in fields):
        raise DataError(f"{where} has a sparse file", PLAIN_ARCHIVE)
    return fields


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
