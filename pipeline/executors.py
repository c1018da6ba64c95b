"""Who does the tasks of a stage: this process, processes of this machine, a dask cluster, or MPI.

Each is a `concurrent.futures.Executor` of somebody else's; nothing of a cluster is written here.
`docs/cluster.md` shows the commands.
"""

import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from pipeline.interrupt import interrupt_held_back
from pipeline.workers import WINDOW_PER_WORKER, begin_server, process_pool
from shards.errors import DataError

PROCESSES, MPI, DASK = "processes", "mpi", "dask://"
CONNECT_SECONDS = 10
"""How long a scheduler has for an answer, and for its first worker."""
LEAVE_SECONDS = 2
"""How long tasks that were begun are waited for when nobody wants their results any more."""
AGAIN_SECONDS = 0.2
"""How long to wait where nobody listens yet: scheduler and command may be started together."""
MOST_GREETING = 1 << 16
"""Bytes; a dask scheduler greets with about 200."""
AGAIN = "run the command again: what is finished is kept"
INSTALL = "run `pip install -e '.[cluster]'`"

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Crew:
    """Who does the tasks of a stage; what is made does not depend on it.

    Attributes:
        workers: Processes of this machine; 1 works in this one.
        executor: PROCESSES, MPI or dask://HOST:PORT; the last two have workers of their own.
    """

    workers: int
    executor: str = PROCESSES

    def __post_init__(self) -> None:
        if self.executor in (PROCESSES, MPI):
            return
        host, colon, port = self.executor.removeprefix(DASK).rpartition(":")
        if not (self.executor.startswith(DASK) and host and colon and port.isdecimal()):
            problem = f"--executor {self.executor!r} is none of processes, mpi, dask://HOST:PORT"
            raise ValueError(problem)

    @property
    def is_remote(self) -> bool:
        """Return whether tasks may go to other machines."""
        return self.executor != PROCESSES

    def load_early(self, module: str) -> None:
        """Have workers on this machine load a module while this process loads its own."""
        if not self.is_remote and self.workers > 1:
            begin_server(module)

    def path(self, path: Path) -> Path:
        """Return a path that means the same wherever the tasks are done."""
        return path.absolute() if self.is_remote else path


class Pool(Generic[Task, Result]):
    """An executor that does one function, and knows how many tasks are enough for it.

    Args:
        executor: Takes the tasks.
        function: A function at the top level of a module, or an object of a class there.
        workers: Counts who works now; a cluster may grow.
    """

    def __init__(
        self, executor: Executor, function: Callable[[Task], Result], workers: Callable[[], int]
    ) -> None:
        self._executor, self._function, self._workers = executor, function, workers
        self._sent: set[Future[Result]] = set()
        self._ended: SimpleQueue[Future[Result]] = SimpleQueue()

    def submit(self, task: Task) -> "Future[Result]":
        """Send a task away."""
        with interrupt_held_back():
            future = self._executor.submit(self._function, task)
            self._sent.add(future)
            future.add_done_callback(self._sent.discard)
            future.add_done_callback(self._ended.put)
        return future

    def wait_for_one(self) -> None:
        """Wait until a task has ended, or has been since this was called last."""
        self._ended.get()  # a lock in C: Ctrl-C leaves it free

    def wait(self, seconds: float) -> None:
        """Wait for the tasks that were sent away, but not longer."""
        wait(list(self._sent), timeout=seconds)

    def window(self) -> int:
        """Return how many tasks are to be in flight."""
        return WINDOW_PER_WORKER * max(1, self._workers())


@contextmanager
def open_pool(
    crew: Crew, mark: Path, versions: Mapping[str, str], function: Callable[[Task], Result]
) -> Iterator[Pool[Task, Result]]:
    """Yield a pool; on any exception tasks that were not begun are dropped.

    Args:
        crew: Who does the tasks.
        mark: A file that stands while tasks are sent, and that every machine must see; once it is
            gone no task is begun on another machine, and none puts a file in its place.
        versions: Of the libraries that can change the result.
        function: What is done with each task.

    Raises:
        DataError: There is no such cluster, or it broke.
    """
    if not crew.is_remote:
        with process_pool(crew.workers) as executor:
            yield Pool(executor, function, lambda: crew.workers)
        return
    from pipeline.errand import Errand, all_versions, source_hash  # `doctor` runs without it

    errand = Errand(function, mark, all_versions(versions), source_hash())
    with _mpi() if crew.executor == MPI else _dask(crew.executor) as (executor, workers):
        pool = Pool(executor, errand, workers)
        try:
            yield pool
        finally:
            pool.wait(LEAVE_SECONDS)


def is_mpi_job() -> bool:
    """Return whether this is the first process of `mpiexec … python -m mpi4py.futures`."""
    return "mpi4py.futures" in sys.modules


Opened = Iterator[tuple[Executor, Callable[[], int]]]


@contextmanager
def _mpi() -> Opened:
    """Yield the other processes of this MPI job; if one dies, MPI ends the job."""
    start = "start `mpiexec -n 3 python -m mpi4py.futures cli.py …`"
    if not is_mpi_job():
        raise DataError("this process is not the first of an MPI job", start)
    from mpi4py.futures import MPIPoolExecutor
    from mpi4py.MPI import COMM_WORLD

    if COMM_WORLD.Get_size() < 2:
        raise DataError("this MPI job has no process besides the one that hands out work", start)
    executor = MPIPoolExecutor()
    try:
        yield executor, lambda: executor.num_workers
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _dask(address: str) -> Opened:
    """Yield the workers of a dask scheduler, which sends the tasks of a lost one to another."""
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise DataError("dask's package `distributed` is not installed", INSTALL) from error
    for name in ("distributed", "distributed.client"):  # what they tell, our errors tell shorter
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = _connect(Client, address)
    executor = client.get_executor(pure=False)
    try:
        yield executor, lambda: _count_workers(client, address)
    except KilledWorker as error:
        remedy = f"give them more memory, or a smaller --memory, and {AGAIN}"
        raise DataError(f"a task has ended {error.allowed_failures + 1} workers", remedy) from error
    except (CancelledError, OSError) as error:
        if client.status == "running":
            raise
        raise DataError(f"the scheduler at {address} is gone", f"start it, and {AGAIN}") from error
    finally:
        executor.shutdown(wait=False)
        client.close(timeout=CONNECT_SECONDS)


def _connect(client_class: Callable[..., Any], address: str) -> Any:  # noqa: ANN401
    """Return a client of a scheduler that has workers, each with one thread."""
    end = time.monotonic() + CONNECT_SECONDS
    try:
        while not _hear_greeting(address, end):
            time.sleep(AGAIN_SECONDS)
        left = max(end - time.monotonic(), 1)
        client = client_class(_tcp(address), timeout=left, set_as_default=False)
    except OSError as error:  # a timeout is one
        remedy = "start `dask scheduler` there, or correct --executor"
        raise DataError(f"no dask scheduler answers at {address}", remedy) from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        _count_workers(client, address)
    except TimeoutError as error:
        client.close()
        problem = f"the dask scheduler at {address} has no workers"
        raise DataError(problem, _start_worker(address)) from error
    except DataError:
        client.close()
        raise
    return client


def _tcp(address: str) -> str:
    return address.replace(DASK, "tcp://")


def _start_worker(address: str) -> str:
    return f"start `dask worker {_tcp(address)} --nworkers N --nthreads 1` on each machine"


def _hear_greeting(address: str, end: float) -> bool:
    """Return whether dask greets there, or nobody listens yet; dask would wait for ever for it.

    Raises:
        OSError: Somebody else listens, or the time is up.
    """
    host, _, port = address.removeprefix(DASK).rpartition(":")

    def seconds() -> float:
        return max(end - time.monotonic(), 0.001)

    try:
        connection = socket.create_connection((host.strip("[]"), int(port)), seconds())
    except ConnectionRefusedError:
        if time.monotonic() > end:
            raise
        return False
    with connection:
        heard, expected = b"", 8
        while len(heard) < expected:
            connection.settimeout(seconds())
            if not (more := connection.recv(expected - len(heard))):
                raise ConnectionError("the connection was closed")
            heard += more
            if len(heard) == expected == 8:  # the length of what follows
                expected += min(int.from_bytes(heard, "little"), MOST_GREETING)
        if b"pickle-protocol" not in heard:
            raise ConnectionError("what listens there is no dask scheduler")
    return True


def _count_workers(client: Any, address: str) -> int:  # noqa: ANN401
    """Return how many workers there are now.

    Raises:
        DataError: One does several tasks at a time; it may have joined just now.
    """
    workers: dict[str, int] = client.nthreads()
    for worker, threads in workers.items():
        if threads != 1:
            problem = f"the dask worker {worker} has {threads} threads; a process does one task"
            raise DataError(problem, f"{_start_worker(address)}, in place of this one")
    return len(workers)
