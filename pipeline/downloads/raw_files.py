"""Raw files on disk: the record beside each, and the sums that prove what it holds.

`NAME.json` beside the raw file NAME keeps where it came from and its sums. It outlives the file: a
later download of a file whose sum nobody published is compared with the sum seen first.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.downloads.progress import Slot, Sums
from pipeline.room import free_bytes, nearest
from pipeline.sources import RemoteFile
from shards.errors import DataError
from shards.files import sync, write_text

BY_HAND = "put there by hand"
"""The address of a file that was there before we were."""


@dataclass(frozen=True)
class RawFile:
    """A verified file on disk.

    Attributes:
        name: `RemoteFile.name`.
        path: Where it is; nothing is there if it was dropped.
        address: Where it came from.
        blake3: Hash of its content.
        is_published: Whether it has the published size and sum; False only with a `base_url`.
    """

    name: str
    path: Path
    address: str
    blake3: str
    is_published: bool


@dataclass(frozen=True, kw_only=True)
class Record:
    """What `NAME.json` says of a raw file.

    Attributes:
        address: Where it came from.
        bytes: Its size.
        mtime_ns: Its time of modification: with the same size and time it is not hashed again.
        blake3: Hash of its content.
        checksum: The published checksum that it was compared with, if there was one.
        is_published: Whether it has the published size and sum.
        dropped: Whether it was deleted on purpose, once its documents were extracted.
        parts: Into how many parts, if it was dropped.
    """

    address: str
    bytes: int
    mtime_ns: int
    blake3: str
    checksum: str | None
    is_published: bool
    dropped: bool = False
    parts: int = 0

    def write(self, path: Path) -> None:
        """Write the record of the raw file `path`."""
        write_text(sidecar(path), json.dumps(asdict(self), indent=1) + "\n")

    def stands(self, path: Path, file: RemoteFile) -> bool:
        """Return whether size, time and published sum are still those that were checked."""
        status = path.stat()
        unchanged = (status.st_size, status.st_mtime_ns) == (self.bytes, self.mtime_ns)
        return unchanged and self.checksum == file.checksum

    def raw_file(self, file: RemoteFile, path: Path) -> RawFile:
        """Return the file as the readers want it."""
        return RawFile(file.name, path, self.address, self.blake3, self.is_published)


def sidecar(path: Path) -> Path:
    """Return where the record of the raw file `path` is."""
    return path.with_name(path.name + ".json")


def read_record(path: Path) -> Record | None:
    """Read the record of the raw file `path`, None where there is none."""
    place = sidecar(path)
    if not place.is_file():
        return None
    try:
        record = Record(**json.loads(place.read_text(encoding="utf-8")))
        if not isinstance(record.blake3, str):
            raise TypeError("no hash")
    except (ValueError, TypeError) as error:
        raise DataError(f"{place} is no record of a raw file", "delete it") from error
    return record


def mark_dropped(path: Path, parts: int) -> bool:
    """Delete a downloaded raw file, as its documents are safe in `parts` parts.

    Its record stands for it from then on. Return whether it did: a person's own file stays.
    """
    record = _downloaded(path)
    if record is None:
        return False
    replace(record, dropped=True, parts=parts).write(path)
    path.unlink()
    return True


def dropped_parts(path: Path) -> int | None:
    """Return how many parts were made of a raw file that was dropped; None if it was not."""
    record = read_record(path)
    return record.parts if record is not None and record.dropped else None


def forget_dropped(paths: Iterable[Path]) -> None:
    """Have dropped raw files loaded again; the sums that were seen first stay."""
    for path in paths:
        record = read_record(path)
        if record is not None and record.dropped:
            replace(record, dropped=False, parts=0).write(path)


def drop_downloaded(folder: Path) -> None:
    """Delete every downloaded raw file below `folder`, and never a person's own.

    The records stay: who needs a file again loads it again, and has it compared with the first.
    """
    for place in sorted(folder.rglob("?*.json")):
        path = place.with_suffix("")
        record = _downloaded(path)
        if record is not None:
            replace(record, dropped=False, parts=0).write(path)
            path.unlink()


def _downloaded(path: Path) -> Record | None:
    """Return the record of a raw file that is there and that we put there, else None."""
    record = read_record(path) if path.is_file() else None
    if record is None or record.address == BY_HAND or record.bytes != path.stat().st_size:
        return None
    return record


def find_raw(file: RemoteFile, folder: Path, slot: Slot, *, may_differ: bool) -> RawFile | None:
    """Return the file if it is there already, or was dropped; None if it is to be loaded.

    Args:
        file: What is wanted.
        folder: Where it would be.
        slot: Shows the hashing, which is done if the record does not vouch for the file.
        may_differ: Whether a file other than the published one will do.

    Raises:
        DataError: Another file is there. It may be the person's own and is left alone.
    """
    path = folder / file.name
    record = read_record(path)
    if not path.exists():
        if record is None or not record.dropped:
            return None
    elif record is None or not record.stands(path, file):
        record = _check(file, path, record, slot)
    if not (record.is_published or may_differ):
        problem = f"{path} is not the published file (it came from {record.address})"
        remedy = f"give --base-url again, or delete it and {sidecar(path).name} to load it anew"
        raise DataError(problem, remedy)
    return record.raw_file(file, path)


def _check(file: RemoteFile, path: Path, record: Record | None, slot: Slot) -> Record:
    """Hash a file and write the record of it; a DataError if it is not what it should be."""
    sums = Sums([file.checksum], slot)
    sums.read(path, file.name)
    problem = sums.difference(file)
    if record is None and problem:
        remedy = "move it away to download the right one"
        raise DataError(f"{path} is not {file.name} as published: {problem}", remedy)
    if record and record.blake3 != sums.blake3 and (problem or file.checksum is None):
        remedy = f"delete it and {sidecar(path).name} to download it again"
        raise DataError(f"{path} has changed since it was checked", remedy)
    # What we dropped, only a person can have put back.
    address = BY_HAND if record is None or record.dropped else record.address
    return _record(file, path, address, sums, at=path)


def _record(file: RemoteFile, path: Path, address: str, sums: Sums, *, at: Path) -> Record:
    """Write the record of `path`, whose bytes may still be elsewhere: at `at`."""
    record = Record(
        address=address,
        bytes=sums.bytes,
        mtime_ns=at.stat().st_mtime_ns,
        blake3=sums.blake3,
        checksum=file.checksum,
        is_published=sums.difference(file) is None,
    )
    record.write(path)
    return record


def keep(file: RemoteFile, folder: Path, staged: Path, address: str, sums: Sums) -> RawFile:
    """Give a loaded file its name, now that it is known to be right.

    The record comes first: after a crash in between, the next run finds the file still staged.

    Raises:
        DataError: No sum is published, and the file differs from the one that was seen first; or
            the file is not what was summed up on its way.
    """
    path = folder / file.name
    size = staged.stat().st_size
    if size != sums.bytes:
        problem = f"{staged} has {size:,} bytes, not the {sums.bytes:,} that were loaded"
        raise DataError(f"{problem}: another program writes there", "end it and try again")
    first = read_record(path)
    if file.checksum is None and first is not None and first.blake3 != sums.blake3:
        problem = f"{address} now serves another {file.name} than on the first download"
        raise DataError(problem, f"delete {sidecar(path)} to accept the new one")
    sync(staged)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = _record(file, path, address, sums, at=staged)
    staged.replace(path)
    sync(path.parent)
    return record.raw_file(file, path)


def check_free(folder: Path, needed: int, what: str) -> None:
    """Raise a DataError if fewer than `needed` bytes are free where `folder` is or will be."""
    free = free_bytes(folder)
    if needed > free:
        place = nearest(folder)
        problem = f"{what} takes {needed / 1e9:,.2f} GB more, {free / 1e9:,.2f} are free in {place}"
        raise DataError(problem, "free some space, or put the data on another disk")
