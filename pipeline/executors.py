"""Who does the tasks of a stage: this process, processes of this machine, a dask cluster, or MPI.

Each is a `concurrent.futures.Executor` of somebody else's; nothing of a cluster is written here.
`docs/cluster.md` shows the commands.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.errand import Errand, source_hash
from pipeline.workers import WINDOW_PER_WORKER, begin_server, process_pool
from shards.errors import DataError
from shards.files import hash_file

PROCESSES, MPI, DASK = "processes", "mpi", "dask://"
CONNECT_SECONDS = 10
"""How long a scheduler has for an answer, and for its first worker."""
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


@dataclass(frozen=True)
class Plan:
    """What the tasks of a stage were planned with.

    Attributes:
        path: The stage's plan on disk, which every machine must see.
        versions: Of the libraries that can change the result.
    """

    path: Path
    versions: Mapping[str, str]


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

    def submit(self, task: Task) -> "Future[Result]":
        """Send a task away."""
        return self._executor.submit(self._function, task)

    def window(self) -> int:
        """Return how many tasks are to be in flight."""
        return WINDOW_PER_WORKER * max(1, self._workers())


@contextmanager
def open_pool(
    crew: Crew, plan: Plan, function: Callable[[Task], Result]
) -> Iterator[Pool[Task, Result]]:
    """Yield a pool; on any exception tasks that were not begun are dropped.

    Raises:
        DataError: There is no such cluster, or it broke.
    """
    if not crew.is_remote:
        with process_pool(crew.workers) as executor:
            yield Pool(executor, function, lambda: crew.workers)
        return
    errand = Errand(function, plan.path, hash_file(plan.path), dict(plan.versions), source_hash())
    with _mpi() if crew.executor == MPI else _dask(crew.executor) as (executor, workers):
        yield Pool(executor, errand, workers)


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
    client = _connect(Client, address)
    executor = client.get_executor(pure=False)
    try:
        yield executor, lambda: len(client.nthreads())
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
    tcp = address.replace(DASK, "tcp://")
    try:
        client = client_class(tcp, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:  # a timeout is one
        remedy = "start `dask scheduler` there, or correct --executor"
        raise DataError(f"no dask scheduler answers at {address}", remedy) from error
    start = f"start `dask worker {tcp} --nworkers N --nthreads 1` on each machine"
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        for worker, threads in client.nthreads().items():
            if threads != 1:
                problem = f"the dask worker {worker} has {threads} threads; a process does one task"
                raise DataError(problem, f"{start}, in place of this one")
    except TimeoutError as error:
        client.close()
        raise DataError(f"the dask scheduler at {address} has no workers", start) from error
    except DataError:
        client.close()
        raise
    return client
