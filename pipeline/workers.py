"""Worker processes that die with their parent, and work whose results come back in order."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from pipeline.interrupt import interrupt_held_back, interrupts
from shards.errors import DataError

Task = TypeVar("Task")
Result = TypeVar("Result")

WINDOW_PER_WORKER = 2
"""Tasks in flight for each worker: enough to keep it busy, few enough to bound memory."""
IDLE_SECONDS = 0.01
"""So long a new process is busy, that the next task may start another."""
IS_FORKED = sys.platform == "linux"
"""Whether workers are forked from a server. Elsewhere system libraries do not allow it."""


def begin_server(module: str) -> None:
    """Start the server that workers will be forked from; it imports a module meanwhile.

    Called before a command loads its own libraries, so that both load at the same time.
    """
    if not IS_FORKED:
        return
    from multiprocessing.forkserver import ensure_running

    # Python 3.11 does not tell the server where this process finds its modules.
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    own = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in own}
    multiprocessing.set_forkserver_preload([module])
    os.environ.update(own)
    try:
        with interrupts(signal.SIG_IGN):  # the server inherits that
            ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start(executor: Executor, workers: int, own: set[BaseProcess]) -> None:
    """Start all processes of an executor, and raise a Ctrl-C that came meanwhile after it.

    Before they are all known they could not be terminated, and would begin after our end.

    Args:
        executor: Starts a process for a task where none is idle.
        workers: Its number of processes.
        own: Receives them.
    """
    others = set(multiprocessing.active_children())
    with interrupt_held_back():
        while len(own) < workers:
            executor.submit(time.sleep, IDLE_SECONDS)
            own |= set(multiprocessing.active_children()) - others


def _context() -> BaseContext:
    return multiprocessing.get_context("forkserver" if IS_FORKED else "spawn")


def _begin(home: str) -> None:
    """Leave Ctrl-C to the parent's message, and exit at once when the parent was killed.

    An orphan that went on writing would race with the run that takes the work up again.

    Args:
        home: The parent's file of this module; a worker must not run another checkout's.
    """
    if home != __file__:
        raise RuntimeError(f"a worker loaded {__file__} instead of {home}")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes share the cores already
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def process_pool(workers: int) -> Iterator[Executor]:
    """Yield an executor of `workers` new processes; on any exception they are terminated."""
    executor = ProcessPoolExecutor(workers, _context(), initializer=_begin, initargs=(__file__,))
    own: set[BaseProcess] = set()
    try:
        _start(executor, workers, own)
        yield executor
    except BaseException as error:
        for process in own:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            remedy = "run the command again, with fewer --workers if memory was short"
            raise DataError("a worker process was killed", remedy) from error
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Iterator[Result]:
    """Yield `function(task)` for each task, in order, with a bounded number of tasks in flight.

    Args:
        function: A function at the top level of a module.
        tasks: Drawn as needed, in this process.
        workers: Processes; 1 works in this one.
    """
    if workers == 1:
        yield from map(function, tasks)
        return
    with process_pool(workers) as executor:
        pending: deque[Future[Result]] = deque()
        ended: SimpleQueue[Future[Result]] = SimpleQueue()
        for task in tasks:
            if len(pending) >= workers * WINDOW_PER_WORKER:
                yield _result(pending.popleft(), ended)
            with interrupt_held_back():
                pending.append(executor.submit(function, task))
                pending[-1].add_done_callback(ended.put)
        while pending:
            yield _result(pending.popleft(), ended)


def _result(future: "Future[Result]", ended: "SimpleQueue[Future[Result]]") -> Result:
    """Return a future's result; `ended` receives all that have one, in any order."""
    is_done = False
    while not is_done:
        with interrupt_held_back():
            is_done = future.done()
        if not is_done:
            ended.get()  # a lock in C: Ctrl-C leaves it free
    with interrupt_held_back():
        return future.result()
