"""Worker processes that die with their parent, and tasks sent to them a few at a time."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
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


def unordered(
    executor: Executor, function: Callable[[Task], Result], tasks: Iterable[Task], window: int
) -> Iterator[tuple[Task, Result]]:
    """Yield (task, result) as results arrive, with at most `window` tasks submitted at a time."""
    pending: dict[Future[Result], Task] = {}
    for task in tasks:
        if len(pending) >= window:
            yield from _take(pending)
        pending[executor.submit(function, task)] = task
    while pending:
        yield from _take(pending)


def _take(pending: dict[Future[Result], Task]) -> Iterator[tuple[Task, Result]]:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        yield pending.pop(future), future.result()
