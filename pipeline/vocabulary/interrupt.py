"""Ctrl-C in the midst of a library's long call, which Python would only notice after it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import TypeVar

Item = TypeVar("Item")

NOTICE = 0.2
"""Seconds between looks at whether Ctrl-C was pressed."""
PATIENCE = 1.0
"""Seconds that a call has for ending when its items break off, before it is left alone."""


def call_with(items: Iterable[Item], function: Callable[[Iterator[Item]], object]) -> None:
    """Call `function(items)` in a thread, so that this one notices Ctrl-C.

    At Ctrl-C the items break off. A call that is past reading them is left to die with the process.
    """
    is_over = threading.Event()
    future: Future[None] = Future()

    def call() -> None:
        try:
            function(_until(is_over, items))
            future.set_result(None)
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    try:
        while not future.done():
            wait([future], NOTICE)
    except BaseException:
        is_over.set()
        wait([future], PATIENCE)
        raise
    future.result()


def _until(is_over: threading.Event, items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        if is_over.is_set():
            raise InterruptedError("its reader was interrupted")
        yield item
