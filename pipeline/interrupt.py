"""Ctrl-C that is neither lost nor garbled: not in an import, not in a lock of the executors."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

RETRY_SECONDS = 0.05
Handler = Callable[[int, FrameType | None], object] | int


@contextmanager
def no_interrupt_in_imports() -> Iterator[None]:
    """Within `with`, hold Ctrl-C back until no import is under way.

    Some libraries take any exception in the midst of an import for a sign that something is not
    installed, and go on; others are left half-initialized and fail later with an error of their
    own. Where the system has no timer (Windows), or this is not the main thread, nothing changes.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() != threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
        else:
            raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGALRM)
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def interrupts(handler: Handler) -> Iterator[None]:
    """Handle Ctrl-C in another way for a while; only the main thread can, and need, do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@contextmanager
def interrupt_held_back() -> Iterator[None]:
    """Within `with`, hold Ctrl-C back, and raise it at its end.

    Futures take their locks in Python code. A Ctrl-C that is raised there leaves one taken; the
    thread that has the result then waits for ever, and the command for the thread. So what is held
    back is each call of theirs; it must not wait.
    """
    pressed: list[int] = []
    with interrupts(lambda number, _: pressed.append(number)):
        yield
    if pressed:
        raise KeyboardInterrupt
