"""The most memory that this process takes on its device."""

import threading
from collections.abc import Callable
from typing import TypeVar

import torch

from benchmarks.networks.side import SAMPLE_SECONDS, anonymous_bytes

Found = TypeVar("Found")


class Peak:
    """The most that was seen while `watch` worked.

    On a CPU it is anonymous memory above what there was at first: the imports are left out, and so
    are pages of files. On a CUDA device it is what torch had allocated there.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._base = self._most = anonymous_bytes()

    @property
    def size(self) -> int:
        """Return the bytes."""
        if self.device == "cuda":
            return torch.cuda.max_memory_allocated()
        return self._most - self._base

    def watch(self, work: Callable[[], Found]) -> Found:
        """Do some work, and look meanwhile; return what it returned."""
        if self.device == "cuda":
            return work()
        done = threading.Event()

        def look() -> None:
            while not done.wait(SAMPLE_SECONDS):
                self._most = max(self._most, anonymous_bytes())

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            return work()
        finally:
            done.set()
            watcher.join()
