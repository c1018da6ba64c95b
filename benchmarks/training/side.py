"""One side in a process of its own: it trains when told, and watches its memory."""

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, cast

import torch

from benchmarks.training.job import Job
from benchmarks.training.memory import Peak
from shards.errors import DataError
from train.speed import peak_rate


class Steps(NamedTuple):
    """What some steps took.

    Attributes:
        seconds: By the clock, until the device had done them.
        processor_seconds: Of all threads of the process.
        waited: Seconds spent on getting batches.
    """

    seconds: float
    processor_seconds: float
    waited: float


class SideError(Exception):
    """A side cannot train: it needs more memory than there is, or has a message of its own."""


class Side:
    """A process that does what it is told and answers, until the end of `with`.

    Args:
        module: Name of the module whose `start_training` makes the steps.
        job: What to train.
    """

    def __init__(self, module: str, job: Job) -> None:
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        # Not a daemon: those may not have workers of their own.
        self.process = context.Process(target=_serve, args=(other, module, job))
        self.process.start()
        other.close()

    def train(self, steps: int) -> Steps:
        """Do some steps.

        Raises:
            SideError: It cannot.
        """
        return cast(Steps, self._ask("train", steps))

    def multiply(self) -> float:
        """Return operations a second of a product of square matrices; see `peak_rate`."""
        return cast(float, self._ask("multiply"))

    def peak(self) -> int:
        """Return the most bytes so far; see `Peak`."""
        return cast(int, self._ask("peak"))

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        self.connection.close()
        self.process.join()

    def _ask(self, request: str, number: int = 0) -> Any:  # noqa: ANN401
        self.connection.send((request, number))
        answer = self.connection.recv()
        if isinstance(answer, SideError):
            raise answer
        return answer


def _serve(connection: Connection, module: str, job: Job) -> None:
    """Answer requests until the other end is gone."""
    torch.set_num_threads(job.threads)
    start: Callable[[Job], Callable[[int], float]] = import_module(module).start_training
    import_module("torch._dynamo")  # large, and imported when the first optimizer is made
    if job.memory is not None and job.device == "cuda":
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, job.memory / whole))
    peak = Peak(job.device)
    train: Callable[[int], float] | None = None
    while True:
        try:
            request, number = connection.recv()
        except EOFError:
            return
        try:
            if request == "train":
                train = train or peak.watch(partial(start, job))
                connection.send(peak.watch(partial(_time, train, number, job.device)))
            else:
                rate = partial(peak_rate, torch.device(job.device), job.dtype)
                connection.send(peak.size if request == "peak" else rate())
        except (torch.OutOfMemoryError, DataError) as error:
            connection.send(SideError(str(error).splitlines()[0]))


def _time(train: Callable[[int], float], steps: int, device: str) -> Steps:
    _wait_for(device)
    begin, worked = time.perf_counter(), time.process_time()
    waited = train(steps)
    _wait_for(device)
    return Steps(time.perf_counter() - begin, time.process_time() - worked, waited)


def _wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
