"""One address to one file, over a line that drops: resumed, patient with the server, verified.

`gdown` transfers (it speaks HTTP as well as Google Drive). What it leaves to its caller is here: it
does not retry a status such as 503, cannot tell a web page from a file outside Drive, joins the
halves of a file that changed between two runs, and has no time limit of its own.
"""

import json
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import gdown
from gdown.parse_url import parse_url

from pipeline.downloads.answers import (
    TIMEOUT,
    USER_AGENT,
    AddressError,
    NotServed,
    Offer,
    Unfinished,
    Unreachable,
    explained,
    probe,
)
from pipeline.downloads.progress import BLOCK, Slot, Sums
from pipeline.downloads.raw_files import check_free
from pipeline.sources import RemoteFile
from shards.files import write_atomically, write_text

PAUSES = (2.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds before each further attempt; after new bytes they are counted from the start."""
HASTY_PAUSES = 2
"""So many of them for an address that gave no byte while another address is left."""
UNREACHED_PAUSES = (1.0, 2.0)
"""Seconds while nothing has come from any host in this run: where there is no network, and for
one's own mirror that takes no connection, which is no home line, but a wrong name."""
RETRIES_IN_PLACE = 5
"""Retries by gdown itself, which need not hash again what is on disk."""


class Transfer:
    """Loads one file from one address.

    Args:
        file: What is wanted; its size and sum, where given, are insisted on.
        address: An http, https or Google Drive address.
        staged: Where to put it: not yet its final name.
        also: A checksum whose kind is computed as well, but not compared.
        is_last: Whether no other address is left to turn to.
        is_own: Whether it is a person's own mirror.
        slot: Shows progress and stops.
    """

    def __init__(
        self,
        file: RemoteFile,
        address: str,
        staged: Path,
        *,
        also: str | None = None,
        is_last: bool,
        is_own: bool,
        slot: Slot,
    ) -> None:
        self.file = file
        self.address = address
        self.staged = staged
        self.part = staged.with_name(f"{staged.name}-partial.part")
        self.origin = _origin(staged)
        self.also = also
        self.is_last = is_last
        self.is_own = is_own
        self.slot = slot
        self._was_resumed = False
        self._may_restart = True
        self._failures = 0  # attempts since the last new byte
        self._reached = 0  # most bytes there ever were

    def load(self) -> Sums:
        """Put the file at `staged` and return its sums; what is loaded stays for the next run.

        Raises:
            AddressError: The file is not to be had here.
            DataError: The disk is too small.
        """
        self._reached = loaded_bytes(self.staged)
        while True:
            try:
                sums = self._attempt()
            except Unfinished as error:
                self._prepare_another(error)
                continue
            if self._is_right(sums):
                return sums

    def _prepare_another(self, error: Unfinished) -> None:
        """Wait before another attempt, or raise AddressError after too many without a new byte."""
        loaded, network = loaded_bytes(self.staged), self.slot.network
        if loaded > self._reached:
            self._failures, self._reached, network.has_given = 0, loaded, True
        pauses = PAUSES if self.is_last or loaded else PAUSES[:HASTY_PAUSES]
        is_hopeless = error.is_cut_off or (self.is_own and error.is_unreached)
        if is_hopeless and not network.has_given:
            pauses = () if network.is_missing else UNREACHED_PAUSES
        if self._failures < len(pauses):
            seconds = pauses[self._failures] if error.after is None else error.after
            self._failures += 1
            self.slot.wait(seconds, f"{self.file.name}: {error}")
        elif loaded and error.is_refusal and self._may_restart:
            _gather(self.staged, self.part)
            self._restart(self.part)
        elif error.is_cut_off and not self.is_own and not network.has_given:
            network.is_missing = True
            raise Unreachable(str(error)) from error
        else:
            raise AddressError(str(error)) from error

    def _restart(self, useless: Path) -> None:
        """Delete what was loaded and begin once more from zero."""
        useless.unlink()
        self._may_restart = False
        self._failures = self._reached = 0

    def _attempt(self) -> Sums:
        self.slot.check()
        is_drive = parse_url(self.address)[0] is not None
        offer = Offer(self.address) if is_drive else probe(self.address, self.staged)
        self.slot.network.has_given |= not is_drive
        size = self.file.bytes if offer.size is None else offer.size
        if self.file.bytes not in (None, size):
            raise AddressError(f"it has {size:,} bytes, not {self.file.bytes:,}")
        loaded = self._resumable(offer, size)
        self._was_resumed = loaded > 0
        if size is not None:
            check_free(self.staged.parent, size - loaded, self.file.name)
        sums = Sums([self.file.checksum, self.also], self.slot)
        if loaded and loaded == size:
            sums.read(self.part, self.file.name)
            self.part.replace(self.staged)
        else:
            self._download(sums, size, loaded)
        return sums

    def _resumable(self, offer: Offer, size: int | None) -> int:
        """Return how many bytes are there to go on from; delete those that cannot be used."""
        loaded = _gather(self.staged, self.part)
        is_useless = size is not None and (
            loaded > size or (loaded < size and not offer.has_ranges)
        )
        if self.file.checksum is None:
            # Only the server can tell whether these bytes are of the file that it has now.
            is_useless |= offer.validator is None or _read_json(self.origin) != asdict(offer)
        if is_useless:
            self.part.unlink()
            loaded = _gather(self.staged, self.part)
        if self.file.checksum is None:
            write_text(self.origin, json.dumps(asdict(offer)) + "\n")
        return loaded

    def _download(self, sums: Sums, size: int | None, loaded: int) -> None:
        with self.slot.bar(self.file.name, size, loaded) as bar, explained(self.staged):
            gdown.download(
                self.address,
                str(self.staged),
                quiet=True,
                resume=True,
                retries=RETRIES_IN_PLACE if self.slot.network.has_given else 0,
                timeout=TIMEOUT,
                use_cookies=False,
                user_agent=USER_AGENT,
                hasher=cast(Any, sums),
                progress=lambda done, _: bar.update(done - bar.n),
                cancel=self.slot.cancel,
            )
        self.slot.network.has_given = True

    def _is_right(self, sums: Sums) -> bool:
        """Return whether the file is what it should be; if not, delete it, to load it once more.

        A file loaded in pieces may be two files spliced: that deserves one fresh start.
        """
        problem = sums.difference(self.file)
        if self.file.checksum is None and _is_web_page(self.staged):
            problem = "a web page instead of the file"
        if problem is None:
            return True
        if not (self._was_resumed and self._may_restart):
            self.staged.unlink()
            raise AddressError(problem)
        self._restart(self.staged)
        return False


def copy_file(
    source: Path, file: RemoteFile, staged: Path, *, also: str | None, slot: Slot
) -> Sums:
    """Copy a file of a local mirror to `staged` and return its sums; as `Transfer.load` does."""
    if not source.is_file():
        raise NotServed("no such file")
    size = source.stat().st_size
    check_free(staged.parent, size, file.name)
    sums = Sums([file.checksum, also], slot)
    with (
        source.open("rb") as original,
        write_atomically(staged) as copy,
        slot.bar(file.name, size) as bar,
    ):
        while block := original.read(BLOCK):
            sums.update(block)
            copy.write(block)
            bar.update(len(block))
    if problem := sums.difference(file):
        staged.unlink()
        raise AddressError(problem)
    return sums


def loaded_bytes(staged: Path) -> int:
    """Return how much of a file an earlier run left to go on from."""
    sizes = [0]
    for path in _leftovers(staged):
        with suppress(FileNotFoundError):  # a thread has just given it another name
            sizes.append(path.stat().st_size)
    return max(sizes)


def clear(staged: Path) -> None:
    """Delete what attempts at a file that has come by now left behind."""
    for path in (*_leftovers(staged), _origin(staged)):
        path.unlink(missing_ok=True)


def _origin(staged: Path) -> Path:
    return staged.with_name(f"{staged.name}.origin.json")


def _leftovers(staged: Path) -> list[Path]:
    """Return what gdown (NAME, 8 characters, .part) and a run killed later left behind."""
    if not staged.parent.is_dir():
        return []
    is_part = re.compile(re.escape(staged.name) + r".{8}\.part").fullmatch
    return [path for path in staged.parent.iterdir() if path == staged or is_part(path.name)]


def _gather(staged: Path, part: Path) -> int:
    """Keep the largest leftover as `part`, where gdown will find it; return its size.

    gdown refuses two of them. Its own new ones nobody else could read: so `part` is made here.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    *others, largest = sorted(_leftovers(staged), key=lambda path: path.stat().st_size) or [part]
    for other in others:
        other.unlink()
    if largest != part:
        largest.replace(part)
    part.touch()
    return part.stat().st_size


def _is_web_page(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(512).lstrip(b"\xef\xbb\xbf\t\r\n ").lower()
    return head.startswith((b"<!doctype html", b"<html"))


def _read_json(path: Path) -> object:
    with suppress(FileNotFoundError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None
