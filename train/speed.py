"""How fast the device multiplies, and how much memory was taken."""

import sys
import time

import torch

SIZE = {"cpu": 512, "cuda": 4096, "mps": 2048}
"""Of the square matrices whose product is timed: milliseconds each."""
TRIES = 5


def peak_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second of a large product of matrices: the fastest of some.

    What utilisation is measured against; no draw of torch's generators is used.
    """
    size = SIZE.get(device.type, SIZE["cpu"])
    matrix = torch.linspace(-1, 1, size * size, device=device).view(size, size).to(dtype)
    seconds = []
    for _ in range(TRIES):
        _wait(device)
        start = time.perf_counter()
        matrix @ matrix
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


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
