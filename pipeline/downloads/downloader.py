"""Downloads of raw files: several hosts at a time, one file a host, each address in turn."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Condition, Event, Thread
from types import TracebackType
from urllib.parse import unquote, urlsplit

from pipeline.downloads.answers import AddressError, NotServed
from pipeline.downloads.mirror import SUMS_NAME, mirrored, open_mirror, parse_sums
from pipeline.downloads.raw_files import RawFile, Slot, check_free, find_raw, keep, read_record
from pipeline.downloads.transfer import Transfer, clear, copy_file, loaded_bytes
from pipeline.sources import RemoteFile
from shards.errors import DataError

DOWNLOADS_AT_A_TIME = 3
STAGING = ".download"
"""The subfolder for what is not yet known to be right."""
PATIENCE = 5.0
"""Seconds for which an interrupted run waits for its threads; most end within 0.1."""


@dataclass
class _Job:
    """A file on its way, and the addresses that are left to try."""

    file: RemoteFile
    folder: Path
    left: list[str]
    future: Future[RawFile] = field(default_factory=Future)
    reasons: list[str] = field(default_factory=list)


class Downloader:
    """Downloads files in threads; a context manager that ends them when an exception leaves it.

    Args:
        base_url: A mirror to use instead of the published addresses: a folder or a server of one.
        offline: Never touch the network; what is there already, or in a local mirror, will do.
        warn: Takes one sentence about a file that is not the published one, from any thread.

    Raises:
        DataError: There is no such mirror.
    """

    def __init__(
        self, *, base_url: str | None = None, offline: bool = False, warn: Callable[[str], None]
    ) -> None:
        self._mirror = None if base_url is None else open_mirror(base_url)
        self._is_cut_off = offline and not isinstance(self._mirror, Path)
        self._warn = warn
        self._cancel = Event()
        self._changed = Condition()
        self._jobs: list[_Job] = []  # that wait
        self._busy: set[str] = set()  # hosts that serve
        self._folders: set[Path] = set()
        self._is_closing = False
        self._threads = [
            Thread(target=self._work, args=(Slot(position, self._cancel),), daemon=True)
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
                self._cancel.set()
                for job in self._jobs:
                    job.future.cancel()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(None if kind is None else PATIENCE)
        for folder in self._folders:
            _remove_empty(folder / STAGING)

    def submit(self, file: RemoteFile, folder: Path) -> Future[RawFile]:
        """Have a file at `folder/file.name`; what is there and right is not loaded again.

        The future raises a DataError that says what to do, OSError if the disk fails, and
        CancelledError if the run was interrupted; what is loaded by then stays for the next run.
        """
        _check_name(file.name)
        job = _Job(file, folder, list(file.addresses))
        with self._changed:
            self._jobs.append(job)
            self._folders.add(folder)
            self._changed.notify_all()
        return job.future

    def check_space(self, files: Iterable[RemoteFile], folder: Path) -> None:
        """Raise a DataError if the disk has no room for what is still to be loaded.

        Only published sizes count, which a mirror's files need not have: those, and files of
        unknown size, are checked when their turn comes.
        """
        if self._mirror is not None:
            return
        needed = sum(_still_needed(file, folder) for file in files)
        check_free(folder, needed, f"the download to {folder}")

    def _work(self, slot: Slot) -> None:
        while taken := self._take():
            job, host = taken
            if job.future.running() or job.future.set_running_or_notify_cancel():
                self._run(job, slot)
            with self._changed:
                if not job.future.done():
                    self._jobs.insert(0, job)
                self._busy.remove(host)
                self._changed.notify_all()

    def _take(self) -> tuple[_Job, str] | None:
        """Return the first job whose host is free, and that host; None after the last job."""
        with self._changed:
            while True:
                for job in self._jobs:
                    host = self._host(job)
                    if host not in self._busy:
                        self._jobs.remove(job)
                        self._busy.add(host)
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
            job.future.set_exception(error)
        else:
            if raw is not None:
                job.future.set_result(raw)

    def _advance(self, job: _Job, slot: Slot) -> RawFile | None:
        """Try one address; None: it failed, and another is left."""
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
                job.reasons.append(f"{place}: {error}")
        if job.left:
            return None
        raise _not_loaded(job)

    def _load(self, job: _Job, place: Path | str, slot: Slot) -> RawFile:
        """Load a file from one place, verify it and give it its name."""
        file, staged = job.file, job.folder / STAGING / job.file.name
        wanted, listed = file, None
        if self._mirror is not None:
            listed = _listed_sum(place, staged, slot)
            wanted = replace(file, bytes=None, checksum=listed)
        if isinstance(place, Path):
            sums = copy_file(place, wanted, staged, also=file.checksum, slot=slot)
        else:
            is_last = not job.left
            transfer = Transfer(
                wanted, place, staged, also=file.checksum, is_last=is_last, slot=slot
            )
            sums = transfer.load()
        raw = keep(file, job.folder, staged, str(place), sums)
        clear(staged)
        if not raw.is_published and listed is None:
            self._warn(f"{raw.path} is not the published file: {sums.difference(file)}")
        return raw


def _listed_sum(place: Path | str, staged: Path, slot: Slot) -> str | None:
    """Return "sha256:HEX" if a SHA256SUMS beside a mirrored file lists it."""
    if isinstance(place, Path):
        name, where = place.name, str(place.with_name(SUMS_NAME))
        loaded = Path(where)
        if not loaded.is_file():
            return None
        content = loaded.read_bytes()
    else:
        name, where = unquote(place.rpartition("/")[2]), f"{place.rpartition('/')[0]}/{SUMS_NAME}"
        loaded = staged.with_name(f"{staged.name}.{SUMS_NAME}")
        try:
            Transfer(RemoteFile(SUMS_NAME, ()), where, loaded, is_last=True, slot=slot).load()
        except NotServed:
            return None
        content = loaded.read_bytes()
        clear(loaded)
    listed = parse_sums(content.decode(errors="surrogateescape"), where).get(name)
    return listed and f"sha256:{listed}"


def _check_name(name: str) -> None:
    """Refuse a name, which may be a server's, that leads out of the folder."""
    if re.search(r"[\\:\0]", name) or any(part in ("", ".", "..") for part in name.split("/")):
        raise DataError(f"{name!r} is no name for a raw file", "report the server that gave it")


def _still_needed(file: RemoteFile, folder: Path) -> int:
    path = folder / file.name
    record = read_record(path)
    if file.bytes is None or path.exists() or (record is not None and record.dropped):
        return 0
    return max(0, file.bytes - loaded_bytes(folder / STAGING / file.name))


def _not_here(job: _Job) -> DataError:
    path = job.folder / job.file.name
    addresses = " or ".join(job.file.addresses) or "its publisher"
    problem = f"there is no {path}, and --offline forbids to download it from {addresses}"
    return DataError(problem, "load it elsewhere and put it there, or leave --offline out")


def _not_loaded(job: _Job) -> DataError:
    reasons = "; ".join(job.reasons) or "it has no address"
    command = f"`python cli.py fetch {job.folder.name} --from FILE`"
    remedy = f"try again later, or get it by other means and run {command}"
    return DataError(f"{job.file.name} could not be downloaded ({reasons})", remedy)


def _remove_empty(folder: Path) -> None:
    """Remove a tree of empty folders, as far as it is one."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        if path.is_dir():
            with suppress(OSError):
                path.rmdir()
