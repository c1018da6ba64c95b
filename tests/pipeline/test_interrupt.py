"""Ctrl-C in the midst of an import is held back, and not lost."""

import os
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.interrupt import no_interrupt_in_imports

INTERRUPTED_MODULE = """
import os, signal, time
caught = None
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
except BaseException as error:
    caught = error
"""

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no timer to hold Ctrl-C back with"
)


def import_and_wait(name: str) -> None:
    import_module(name)
    wait()


def interrupt_and_wait() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    wait()


def wait() -> None:
    time.sleep(5)
    raise AssertionError("no interrupt came")


def test_an_import_ends_before_the_interrupt_comes(tmp_path: Path, monkeypatch):
    (tmp_path / "interrupted_module.py").write_text(INTERRUPTED_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), no_interrupt_in_imports():
        import_and_wait("interrupted_module")
    assert sys.modules["interrupted_module"].caught is None


def test_elsewhere_an_interrupt_comes_at_once():
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt), no_interrupt_in_imports():
        interrupt_and_wait()
    assert time.perf_counter() - begin < 4


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    with no_interrupt_in_imports():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)) == before


def test_other_threads_leave_the_handlers_alone():
    found = []

    def look() -> None:
        with no_interrupt_in_imports():
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [before]
