"""Downloads of raw files: several hosts at a time, one file a host, each address in turn."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Condition, Event, Thread
from types import TracebackType
from urllib.parse import urlsplit

from pipeline.downloads.answers import AddressError, NoNetwork, Unreachable, without_login
from pipeline.downloads.mirror import listed_sum, mirrored, open_mirror
from pipeline.downloads.progress import Network, Slot
from pipeline.downloads.raw_files import (
    RawFile,
    check_free,
    find_raw,
    keep,
    read_record,
)
from pipeline.downloads.transfer import Transfer, clear, copy_file, loaded_bytes
from pipeline.room import nearest
from pipeline.sources import RemoteFile
from shards.errors import DataError

DOWNLOADS_AT_A_TIME = 3
STAGING = ".download"
"""The subfolder for what is not yet known to be right."""
NEVER_ASKS = "`--offline` never asks"
PATIENCE = 5.0
"""Seconds for which an interrupted run waits for its threads; most end within 0.1."""


@dataclass(eq=False)
class _Job:
    """A file on its way, and the addresses that are left to try."""

    file: RemoteFile
    folder: Path
    left: list[str]
    future: Future[RawFile] = field(default_factory=Future)
    cancel: Event = field(default_factory=Event)
    reasons: list[str] = field(default_factory=list)
    unreachable: int = 0  # so many of the reasons are that no network was found

    def fail(self, error: BaseException) -> None:
        """Give those who wait for the file an error, while no thread works on it."""
        if self.future.running() or self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Downloader:
    """Downloads files in threads; a context manager that ends them when an exception leaves it.

    Args:
        base_url: A mirror to use instead of the published addresses: a folder or a server of one.
        offline: Never touch the network; what is there already, or in a local mirror, will do.
        warn: Takes one sentence, from any thread: a file is not the published one, or a wait is
            shown on no screen.

    Raises:
        ValueError: The mirror's address is none.
        DataError: The mirror's folder does not exist.
    """

    def __init__(
        self, *, base_url: str | None = None, offline: bool = False, warn: Callable[[str], None]
    ) -> None:
        self._mirror = None if base_url is None else open_mirror(base_url)
        self._is_cut_off = offline and not isinstance(self._mirror, Path)
        self._warn = warn
        self._network = Network()
        self._changed = Condition()
        self._jobs: list[_Job] = []  # that wait
        self._busy: dict[str, _Job] = {}  # by the host that serves
        self._folders: set[Path] = set()
        self._promised: dict[Path, dict[str, RemoteFile]] = {}  # what there was room for
        self._is_closing = False
        self._threads = [
            Thread(target=self._work, args=(position,), daemon=True)
            for position in range(DOWNLOADS_AT_A_TIME)
        ]

    def __enter__(self) -> "Downloader":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_closing = True
            if kind is not None:
                self._cancel([*self._jobs, *self._busy.values()])
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(None if kind is None else PATIENCE)
        for folder in self._folders:
            _remove_empty(folder / STAGING)

    def submit(self, file: RemoteFile, folder: Path) -> Future[RawFile]:
        """Have a file at `folder/file.name`; what is there and right is not loaded again.

        The future raises a DataError that says what to do, OSError if the disk fails, and
        CancelledError if the run was interrupted or the folder abandoned; what is loaded by then
        stays for the next run.
        """
        _check_name(file.name)
        job = _Job(file, folder, list(file.addresses))
        with self._changed:
            self._jobs.append(job)
            self._folders.add(folder)
            self._changed.notify_all()
        return job.future

    def abandon(self, folder: Path) -> None:
        """End the downloads to one folder, as they are of no more use; those to others go on."""
        with self._changed:
            jobs = (*self._jobs, *self._busy.values())
            self._cancel([job for job in jobs if job.folder == folder])
            self._promised.pop(folder, None)

    def check_space(self, files: Iterable[RemoteFile], folder: Path) -> None:
        """Raise a DataError if the disk has no room for what is still to be loaded.

        That includes what earlier calls have found room for. Only published sizes count, which a
        mirror's files need not have: those, and files of unknown size, are checked when their turn
        comes. Offline nothing is loaded, and needs no room.
        """
        if self._mirror is not None or self._is_cut_off:
            return
        with self._changed:
            more = self._promised.get(folder, {}) | {file.name: file for file in files}
            promised = {**self._promised, folder: more}
            needed = {
                place: sum(_still_needed(file, place) for file in wanted.values())
                for place, wanted in promised.items()
                if _disk(place) == _disk(folder)
            }
            places = " and ".join(str(place) for place, size in needed.items() if size)
            check_free(folder, sum(needed.values()), f"the download to {places}")
            self._promised = promised

    def _cancel(self, jobs: list[_Job]) -> None:
        for job in jobs:
            job.cancel.set()
            if job in self._jobs:
                self._jobs.remove(job)
                job.fail(CancelledError())
        self._changed.notify_all()

    def _work(self, position: int) -> None:
        while taken := self._take():
            job, host = taken
            if job.future.running() or job.future.set_running_or_notify_cancel():
                self._run(job, Slot(position, job.cancel, self._network, self._warn))
            with self._changed:
                del self._busy[host]
                if job.cancel.is_set() and not job.future.done():
                    job.fail(CancelledError())
                elif not job.future.done():
                    self._jobs.insert(0, job)
                self._changed.notify_all()

    def _take(self) -> tuple[_Job, str] | None:
        """Return the first job whose host is free, and that host; None after the last job."""
        with self._changed:
            while True:
                for job in list(self._jobs):
                    try:
                        host = self._host(job)
                    except Exception as error:  # its own: the other jobs need this thread
                        self._jobs.remove(job)
                        job.fail(error)
                        continue
                    if host not in self._busy:
                        self._jobs.remove(job)
                        self._busy[host] = job
                        return job, host
                if self._is_closing and not self._jobs and not self._busy:
                    return None
                self._changed.wait()

    def _host(self, job: _Job) -> str:
        if isinstance(self._mirror, Path) or not job.left:
            return ""
        return urlsplit(self._mirror or job.left[0]).hostname or ""

    def _run(self, job: _Job, slot: Slot) -> None:
        try:
            raw = self._advance(job, slot)
        except BaseException as error:
            self._forget(job)
            job.future.set_exception(error)
        else:
            if raw is not None:
                self._forget(job)
                job.future.set_result(raw)

    def _forget(self, job: _Job) -> None:
        """Let others have the room, before anyone learns that it is not needed any more."""
        with self._changed:
            self._promised.get(job.folder, {}).pop(job.file.name, None)

    def _advance(self, job: _Job, slot: Slot) -> RawFile | None:
        """Try one address; None: it failed, and another is left."""
        slot.check()
        if not job.reasons:
            raw = find_raw(job.file, job.folder, slot, may_differ=self._mirror is not None)
            if raw is not None:
                return raw
        if self._is_cut_off:
            raise _not_here(job)
        if job.left:
            place: Path | str = job.left.pop(0)
            if self._mirror is not None:
                place = mirrored(self._mirror, str(place), job.file.name)
            try:
                return self._load(job, place, slot)
            except AddressError as error:
                job.reasons.append(f"{without_login(str(place))}: {error}")
                job.unreachable += isinstance(error, Unreachable)
        if job.left:
            return None
        raise _not_loaded(job)

    def _load(self, job: _Job, place: Path | str, slot: Slot) -> RawFile:
        """Load a file from one place, verify it and give it its name."""
        file, staged = job.file, job.folder / STAGING / job.file.name
        wanted, listed = file, None
        if self._mirror is not None:
            listed = listed_sum(place, staged, slot)
            wanted = replace(file, bytes=None, checksum=listed)
        if isinstance(place, Path):
            sums = copy_file(place, wanted, staged, also=file.checksum, slot=slot)
        else:
            sums = Transfer(
                wanted,
                place,
                staged,
                also=file.checksum,
                is_last=not job.left,
                is_own=self._mirror is not None,
                slot=slot,
            ).load()
        raw = keep(file, job.folder, staged, without_login(str(place)), sums)
        clear(staged)
        if not raw.is_published and listed is None:
            self._warn(f"{raw.path} is not the published file: {sums.difference(file)}")
        return raw


def _check_name(name: str) -> None:
    """Refuse a name, which may be a server's, that leads out of the folder."""
    if re.search(r"[\\:\0]", name) or any(part in ("", ".", "..") for part in name.split("/")):
        raise DataError(f"{name!r} is no name for a raw file", "report the server that gave it")


def _still_needed(file: RemoteFile, folder: Path) -> int:
    path = folder / file.name
    loaded = loaded_bytes(folder / STAGING / file.name)  # before a thread gives it its name
    record = read_record(path)
    if file.bytes is None or path.exists() or (record is not None and record.dropped):
        return 0
    return max(0, file.bytes - loaded)


def _disk(folder: Path) -> int:
    return nearest(folder).stat().st_dev


def _not_here(job: _Job) -> DataError:
    path = job.folder / job.file.name
    addresses = " or ".join(job.file.addresses) or "its publisher"
    problem = f"there is no {path}, and --offline forbids to download it from {addresses}"
    return DataError(problem, "load it elsewhere and put it there, or leave --offline out")


def _not_loaded(job: _Job) -> DataError:
    reasons = "; ".join(job.reasons) or "it has no address"
    problem = f"{job.file.name} could not be downloaded ({reasons})"
    command = f"`python cli.py fetch {job.folder.name} --from FILE`"
    if 0 < job.unreachable == len(job.reasons):
        remedy = f"is there a network? {command} reads a copy fetched elsewhere, {NEVER_ASKS}"
        return NoNetwork(problem, remedy)
    return DataError(problem, f"try again later, or get it by other means and run {command}")


def _remove_empty(folder: Path) -> None:
    """Remove a tree of empty folders, as far as it is one."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        if path.is_dir():
            with suppress(OSError):
                path.rmdir()
