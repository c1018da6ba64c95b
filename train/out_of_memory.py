"""Out of memory, as each device says it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from shards.errors import DataError

SIGNS = ("out of memory", "not enough memory", "DefaultCPUAllocator", "ALLOC_FAILED")
"""In errors that are not `torch.OutOfMemoryError`: of MPS and pinned memory, of a CPU (its words
and its allocator's name), and of cuBLAS."""
SMALLER = "try --activation-checkpointing, shorter rows or a smaller --preset"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is too little memory, of a device or of the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def free_memory(device: torch.device) -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def memory_for(what: str, remedy: str = SMALLER) -> Iterator[None]:
    """Within `with`, tell of too little memory in a line.

    Raises:
        DataError: There is too little; nothing smaller can be tried.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        first_line = str(error).partition("\n")[0]
        raise DataError(f"there is no memory for {what} ({first_line})", remedy) from error
