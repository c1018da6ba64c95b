"""One side in a process of its own: it does steps when told, and watches its memory."""

import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.networks.job import Job
from model.linear import product

SQUARE = 1536
"""Side of the matrices whose product gives the rate."""
SAMPLE_SECONDS = 0.002
"""Between two looks at memory."""
TUNABLES = "GLIBC_TUNABLES"


class Side:
    """A process that does what it is told and answers.

    Args:
        module: Name of the module whose `start_step` makes the step.
        job: What to compute.
        tunables: Of glibc's allocator, "" = as it is.
    """

    def __init__(self, module: str, job: Job, tunables: str) -> None:
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, module, job), daemon=True)
        os.environ[TUNABLES] = tunables  # glibc reads it when a process begins
        self.process.start()
        del os.environ[TUNABLES]
        other.close()

    def step(self, number: int) -> float:
        """Return the seconds of a forward and a backward pass over a batch of the job."""
        return self._ask("step", number)

    def multiply(self) -> float:
        """Return operations a second of a product of square matrices, the faster of two ways."""
        return self._ask("multiply")

    def peak(self) -> float:
        """Return the most anonymous bytes above those of the imports so far."""
        return self._ask("peak")

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.join()

    def _ask(self, request: str, number: int = 0) -> float:
        self.connection.send((request, number))
        return float(self.connection.recv())


def _serve(connection: Connection, module: str, job: Job) -> None:
    """Answer requests until the other end is gone."""
    torch.set_num_threads(job.threads)
    clock = time.process_time if job.threads == 1 else time.perf_counter
    start: Callable[[], Callable[[dict[str, Tensor]], None]] = import_module(module).start_step
    memory = _Memory()
    step = start()
    square = torch.randn(SQUARE, SQUARE)
    while True:
        try:
            request, number = connection.recv()
        except EOFError:
            return
        if request == "step":
            batch = job.batch(number)
            begin = clock()
            memory.watch(lambda batch=batch: step(batch))  # type: ignore[misc]
            connection.send(clock() - begin)
        elif request == "multiply":
            connection.send(max(_rate(way, square, clock) for way in (torch.mm, _by_product)))
        else:
            connection.send(memory.peak - memory.base)


def _by_product(left: Tensor, right: Tensor) -> Tensor:
    return product(left, right, None)


def _rate(
    way: Callable[[Tensor, Tensor], Tensor], square: Tensor, clock: Callable[[], float]
) -> float:
    """Return operations a second of a product."""
    begin = clock()
    way(square, square)
    return 2 * SQUARE**3 / (clock() - begin)


class _Memory:
    """Anonymous memory of this process: at the beginning, and the most seen since."""

    def __init__(self) -> None:
        self.base = self.peak = anonymous_bytes()

    def watch(self, work: Callable[[], None]) -> None:
        """Do some work and look meanwhile."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(SAMPLE_SECONDS):
                self.peak = max(self.peak, anonymous_bytes())

        watcher = threading.Thread(target=look)
        watcher.start()
        work()
        done.set()
        watcher.join()


def anonymous_bytes() -> int:
    """Return the anonymous resident memory of this process."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this kernel does not tell the anonymous memory of a process")
