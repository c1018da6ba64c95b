"""Work in other processes whose results come back in the order of the tasks."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from pipeline.workers import WINDOW_PER_WORKER, process_pool

Task = TypeVar("Task")
Result = TypeVar("Result")


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
