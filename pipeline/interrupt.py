"""Ctrl-C that is neither lost nor garbled while a library is being imported."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RETRY_SECONDS = 0.05


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
