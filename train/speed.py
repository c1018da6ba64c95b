"""How fast the device multiplies, and how much memory was taken."""

import sys
import time
from collections.abc import Callable
from functools import cache

import torch

SIZE = {"cpu": 512, "cuda": 4096, "mps": 2048}
"""Of the square matrices whose product is timed: milliseconds each."""
AT_A_TIME = {"cpu": 1, "cuda": 4, "mps": 4}
"""Products in one try: a CPU's try is short, to fit between what others do; a GPU's is queued, so
that launching and waiting count little."""
BURST_SECONDS = 0.03
"""Of tries in a row; a GPU's clock rises meanwhile."""
REST_SECONDS = 0.05
"""Between bursts: threads that wait for a processor that something else uses may get another."""
FEWEST_BURSTS, MOST_BURSTS = 4, 12
"""A third of a second; a second where bursts differ."""
MUCH = 1.1
"""Bursts of a machine that does nothing else differ less: by a twentieth on two cores."""


@cache
def peak_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second of a large product of matrices: the fastest of many.

    What utilisation is measured against, once a process; no draw of torch's generators is used.
    """
    kind = device.type if device.type in SIZE else "cpu"
    size, count = SIZE[kind], AT_A_TIME[kind]
    matrix = torch.linspace(-1, 1, size * size, device=device).view(size, size).to(dtype)

    def multiply() -> float:
        _wait(device)
        start = time.perf_counter()
        for _ in range(count):
            matrix @ matrix
        _wait(device)
        return time.perf_counter() - start

    def burst() -> float:
        time.sleep(REST_SECONDS)
        tries = [multiply()]
        while sum(tries) < BURST_SECONDS:
            tries.append(multiply())
        return min(tries)

    return 2 * size**3 * count / fastest(burst)


def fastest(burst: Callable[[], float]) -> float:
    """Return the least of what bursts return: of more of them, where they differ much."""
    found = [burst() for _ in range(FEWEST_BURSTS)]
    while len(found) < MOST_BURSTS and max(found) > MUCH * min(found):
        found.append(burst())
    return min(found)


def utilisation(rate: float, peak: float) -> float | None:
    """Return the share of the device's peak that a rate is; None where that cannot be.

    More than all of it says that the peak was measured while the machine was busy.
    """
    return rate / peak if rate <= peak else None


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: torch.device) -> int | None:
    """Return the most memory in bytes that was taken so far: of the device, or of this process.

    None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
