"""The processes that train one model: what the loop asks of them, and a process that is alone.

`train.distributed` is imported where there are several, and nowhere else.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from shards.errors import DataError

T = TypeVar("T")
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
"""What torchrun tells each process: its number, how many there are, its number on this machine."""


class SharedError(DataError):
    """What stops all processes at once, for the same reason: one of them tells it."""


class Crew(Protocol):
    """This process, number `process` of `processes`, and what it does together with the others.

    Each call waits for all processes. Number 0 writes files, evaluates and speaks.
    """

    process: int
    processes: int

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        ...

    def agree(self, seconds: float, stops: bool) -> tuple[float, bool]:
        """Return the seconds of process 0's clock, and whether any process was asked to stop."""
        ...

    def share(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in process 0; the others end if it raises."""
        ...

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of process 0."""
        ...

    def place(self, device: torch.device) -> torch.device:
        """Return this process's own device of a kind; it waits for nobody.

        Raises:
            DataError: There are too few for the processes of this machine.
        """
        ...


class Alone:
    """One process."""

    process, processes = 0, 1

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Do nothing: the sums are there."""

    def agree(self, seconds: float, stops: bool) -> tuple[float, bool]:
        """Return both."""
        return seconds, stops

    def share(self, make: Callable[[], T]) -> T:
        """Return what `make` returns."""
        return make()

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Do nothing: they are its own."""

    def place(self, device: torch.device) -> torch.device:
        """Return the device."""
        return device


@contextmanager
def join_crew(device: str) -> Iterator[Crew]:
    """Within `with`, be one of the processes that torchrun has started, or alone.

    Args:
        device: The name of what will be computed on, as in `train.device`.

    Raises:
        DataError: The processes do not find each other.
    """
    if not set(TORCHRUN) <= os.environ.keys() or os.environ["WORLD_SIZE"] == "1":
        yield Alone()
        return
    from train.distributed import join

    with join(device) as group:
        yield group
