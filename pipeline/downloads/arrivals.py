"""The downloads of one source: which files, in which order, and what becomes of them."""

import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from pipeline.config import FetchConfig
from pipeline.downloads.answers import NoNetwork
from pipeline.downloads.downloader import NEVER_ASKS, Downloader
from pipeline.downloads.raw_files import (
    RawFile,
    drop_downloaded,
    dropped_parts,
    forget_dropped,
    mark_dropped,
    read_record,
    sidecar,
)
from pipeline.downloads.wikipedia_dumps import dump_files
from pipeline.extract import Batch
from pipeline.sources import SOURCES, RemoteFile, Route
from pipeline.stage import UNFINISHED
from shards.errors import DataError


class Arrivals:
    """One source's downloads.

    Without a limit all files of a route are on their way at once (in the order that the downloader
    allows); with one, the next file is asked for when the one before was not enough.

    Attributes:
        arrived: The files that have been handed over, in order.
        is_started: Whether the source is downloaded at all.
    """

    def __init__(self, name: str, config: FetchConfig, data: Path, downloader: Downloader) -> None:
        self.name = name
        self.config = config
        self.folder = data / ("vocab" if name == "vocab" else f"raw/{name}")
        self.journal = data / "text" / name / UNFINISHED
        self.downloader = downloader
        self.arrived: list[RawFile] = []
        self.is_started = False
        self._routes: deque[Route] = deque()
        self._futures: dict[str, Future[RawFile]] = {}

    def start(self) -> None:
        """Find out what there is to download, check the disk, and begin."""
        self.is_started = True
        routes = SOURCES[self.name].routes or (self._wikipedia(),)
        self._routes = deque(sorted(routes, key=self._rank))
        for file in (file for route in routes for file in route):
            self._forget_unless_read(self.folder / file.name)
        self._submit_all()

    @property
    def total_bytes(self) -> int:
        """Return the published size of all files, as far as known."""
        return sum(file.bytes or 0 for file in self._routes[0])

    def batches(self) -> Iterator[Batch]:
        """Yield each file once it is here; where a route's first file cannot be had, the next's."""
        for file in self._files():
            path = self.folder / file.name
            parts = None if path.is_file() else dropped_parts(path)
            yield Batch({file.name: path}, self.arrived[-1].blake3, parts)

    def wait_for_all(self) -> list[RawFile]:
        """Wait for every file, however many fail.

        Raises:
            DataError: Some failed; the others are in the folder.
        """
        failures: list[DataError] = []
        for file in self._routes[0]:
            try:
                self.arrived.append(self._take(file))
            except DataError as error:
                failures.append(error)
        if failures:
            if all(isinstance(failure, NoNetwork) for failure in failures):
                remedy = f"is there a network? put copies fetched elsewhere into {self.folder}"
                raise NoNetwork(failures[0].problem, f"{remedy}, {NEVER_ASKS}")
            problem = "; ".join(failure.problem for failure in failures)
            remedy = f"try again later, or get them by other means and put them into {self.folder}"
            raise DataError(problem, remedy)
        return self.arrived

    def drop(self, batch: Batch, parts: int) -> None:
        """Remove a raw file whose parts are on disk."""
        for path in batch.files.values():
            if path.is_file():
                mark_dropped(path, parts)

    def drop_all(self) -> None:
        """Remove what was downloaded, now that the documents are all there."""
        drop_downloaded(self.folder)

    def abandon(self) -> None:
        """Stop what is still on its way: this source has failed."""
        self.downloader.abandon(self.folder)

    def _forget_unless_read(self, path: Path) -> None:
        """Have a file that was dropped loaded again, unless all parts made of it are there."""
        parts, record = dropped_parts(path), read_record(path)
        if parts is not None and record is not None:
            made = list(self.journal.glob(f"part-*-{record.blake3[:16]}.json"))
            if not parts or len(made) != parts:
                forget_dropped([path])

    def _files(self) -> Iterator[RemoteFile]:
        reasons: list[DataError] = []
        while self._routes:
            try:
                for file in self._routes[0]:
                    self.arrived.append(self._take(file))
                    yield file
                return
            except DataError as error:
                reasons.append(error)
                if self.arrived or len(self._routes) == 1:
                    break
                self._routes.popleft()
                self._submit_all()
        problem = "; ".join(reason.problem for reason in reasons)
        remedies = [reason.remedy for reason in reasons]
        if all(isinstance(reason, NoNetwork) for reason in reasons):
            raise NoNetwork(problem, reasons[0].remedy)
        if self.name == "wikipedia":
            remedies.append(f"delete {self.folder} to begin with another dump")
        raise DataError(problem, "; or ".join(dict.fromkeys(remedies)))

    def _take(self, file: RemoteFile) -> RawFile:
        if file.name not in self._futures:
            self._futures[file.name] = self.downloader.submit(file, self.folder)
        return self._futures[file.name].result()

    def _submit_all(self) -> None:
        if self.config.limit is None:
            self.downloader.check_space(self._routes[0], self.folder)
            for file in self._routes[0]:
                self._futures[file.name] = self.downloader.submit(file, self.folder)

    def _rank(self, route: Route) -> tuple[bool, int]:
        """Prefer a route that was begun; with a limit, the one in the most files."""
        is_begun = any(sidecar(self.folder / file.name).is_file() for file in route)
        return not is_begun, -len(route) if self.config.limit else 0

    def _wikipedia(self) -> Route:
        config = self.config
        try:
            return dump_files(config.language, config.date, self.folder, self._load)
        except NoNetwork:
            raise
        except DataError as error:
            remedy = f"{error.remedy}, or read a dump that you have with --from FILE"
            raise DataError(error.problem, remedy) from error

    def _load(self, file: RemoteFile) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            loading = self.downloader.submit(file, Path(folder) / self.name)
            try:
                return loading.result().path.read_bytes()
            except NoNetwork:
                raise
            except DataError as error:
                problem = error.problem.replace(f"{Path(folder) / self.name}{os.sep}", "")
                raise DataError(problem, error.remedy) from error
