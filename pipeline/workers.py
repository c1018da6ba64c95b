"""Worker processes that die with their parent, and work whose results come back in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from shards.errors import DataError

Task = TypeVar("Task")
Result = TypeVar("Result")

WINDOW_PER_WORKER = 2
"""Tasks in flight for each worker: enough to keep it busy, few enough to bound memory."""


def _begin() -> None:
    """Leave Ctrl-C to the parent's message, and exit at once when the parent was killed.

    An orphan that went on writing would race with the run that takes the work up again.
    """
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
    """Yield an executor of `workers` spawned processes; on any exception they are terminated."""
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, context, initializer=_begin)
    try:
        yield executor
    except BaseException as error:
        for process in multiprocessing.active_children():
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
        for task in tasks:
            if len(pending) >= workers * WINDOW_PER_WORKER:
                yield pending.popleft().result()
            pending.append(executor.submit(function, task))
        while pending:
            yield pending.popleft().result()
