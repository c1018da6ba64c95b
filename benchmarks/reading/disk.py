"""The disk below: files out of memory, what it gives by itself, and a limit on memory."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

PIECE = 131_072
"""Bytes of the ids of a block of 512 rows: what reading in shuffled order asks for at a time."""
PIECES = 2000


def evict(paths: Sequence[Path]) -> float:
    """Have the system forget what it holds of files; return the share that it still has.

    Pages that some process has mapped and touched stay.
    """
    kept = []
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            kept += [_is_held(descriptor, at) for at in range(0, path.stat().st_size, 8 * PIECE)]
        finally:
            os.close(descriptor)
    return float(np.mean(kept))


def _is_held(descriptor: int, offset: int) -> bool:
    """Return whether a byte can be had without waiting for the disk."""
    try:
        os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that cannot say, such as one in memory
        return True
    return True


def disk_rates(paths: Sequence[Path]) -> tuple[float, float]:
    """Return MB/s of the disk: a file from end to end, and single pieces anywhere, one by one."""
    evict(paths)
    start, read = time.perf_counter(), 0
    with paths[0].open("rb", buffering=0) as file:
        while part := len(file.read(8 * PIECE)):
            read += part
    one_file = read / 1e6 / (time.perf_counter() - start)
    evict(paths)
    generator = np.random.default_rng(0)
    descriptors = [os.open(path, os.O_RDONLY) for path in paths]
    for descriptor in descriptors:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    start, read = time.perf_counter(), 0
    for number in range(PIECES):
        which = number % len(paths)
        place = int(generator.integers(max(1, paths[which].stat().st_size // PIECE)))
        read += len(os.pread(descriptors[which], PIECE, place * PIECE))
    pieces = read / 1e6 / (time.perf_counter() - start)
    for descriptor in descriptors:
        os.close(descriptor)
    return one_file, pieces


@contextmanager
def limited_memory(size: int) -> Iterator[Path | None]:
    """Make a memory cgroup below this process's own, or give None where that cannot be done.

    A process enters by writing its number to `cgroup.procs`; the pages of files that it reads are
    counted too.
    """
    group = _make_group(size)
    try:
        yield group
    finally:
        if group is not None:
            group.rmdir()


def _make_group(size: int) -> Path | None:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        version_1 = controllers == "memory"
        if not version_1 and controllers:
            continue
        base = Path("/sys/fs/cgroup/memory" if version_1 else "/sys/fs/cgroup")
        group = base / own.lstrip("/") / f"hearth-{os.getpid()}"
        limit = group / ("memory.limit_in_bytes" if version_1 else "memory.max")
        with suppress(OSError):
            group.mkdir()
            try:
                limit.write_text(str(size))
            except OSError:
                group.rmdir()
                raise
            return group
    return None
