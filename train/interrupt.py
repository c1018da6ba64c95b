"""Ctrl-C and SIGTERM while training: finish the step, save, stop; a second Ctrl-C exits at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ONE_PRESS = 0.5
"""Seconds in which a second SIGINT is the same key press: from torchrun, after the terminal's."""

ENDED = b"Error: terminated: run the command again, or go on with --resume if the run has begun\n"
SAVING = b"\nfinishing this update and writing a checkpoint; a second Ctrl-C ends at once\n"


@dataclass
class Interrupt:
    """Whether a person asked to stop."""

    requested: bool = False


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within `with`, turn the first signal into `requested`.

    A second Ctrl-C ends the process without asking anything: no thread that writes and no library
    that waits can hold it. More of SIGTERM, which schedulers like to repeat, is the same request.
    Outside the main thread, which alone gets signals, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    first_press: list[float] = []

    def request(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and first_press:
            if time.monotonic() - first_press[0] > ONE_PRESS:
                _tell(b"\n")
                os._exit(128 + signal.SIGINT)
        elif number == signal.SIGINT:
            first_press.append(time.monotonic())
        if not interrupt.requested:
            _tell(SAVING)
        interrupt.requested = True

    before = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """Within `with`, SIGTERM ends the process at once, as it always does, but with a line.

    It is for all that comes before and after training: where `interruptible` does not reach.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        if os.environ.get("RANK", "0") == "0":  # of a torchrun job, one tells it
            _tell(ENDED)
        os._exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(line: bytes) -> None:
    """Write to the terminal, past whatever was interrupted; one that is gone is no error."""
    with suppress(OSError, ValueError):
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, line)
