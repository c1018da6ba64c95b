"""One side in a process of its own, so that its memory and its limit are its own."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows

BATCH = 128

Given = ParamSpec("Given")
Found = TypeVar("Found")


def run_alone(function: Callable[Given, Found], *given: Given.args, **named: Given.kwargs) -> Found:
    """Call a function in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(function, *given, **named).result()


@dataclass(frozen=True)
class Epoch:
    """What reading every row once was like.

    Attributes:
        open_ms: To open the folder.
        first_ms: From before opening it to the first batch.
        rows_per_s: From the first batch to the end of the epoch.
        slowest_rows_per_s: Of a window, the slowest.
        growth_mb: Of the anonymous memory (RssAnon), from the third window to the end.
        anonymous_mb: At the end, Python and libraries included.
    """

    open_ms: float
    first_ms: float
    rows_per_s: float
    slowest_rows_per_s: float
    growth_mb: float
    anonymous_mb: float


def read_epoch(folder: Path, group: Path | None) -> Epoch:
    """Read an epoch as fast as it comes.

    Args:
        folder: Of shards.
        group: A memory cgroup to enter before.
    """
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    start = time.perf_counter()
    shards = ShardFolder(folder, "train")
    opened = time.perf_counter()
    rows, count = ShuffledRows(shards, seed=0), len(shards)
    rows.read(0, BATCH)
    marks, before = [time.perf_counter()], anonymous_mb()
    for cursor in range(BATCH, count, BATCH):
        rows.read(cursor, min(BATCH, count - cursor))
        if cursor % rows.order.window_rows == 0:
            marks.append(time.perf_counter())
            if len(marks) == 3:
                before = anonymous_mb()
    after, seconds = anonymous_mb(), time.perf_counter() - marks[0]
    windows = [end - begin for begin, end in pairwise(marks)] or [seconds]
    return Epoch(
        open_ms=(opened - start) * 1e3,
        first_ms=(marks[0] - start) * 1e3,
        rows_per_s=(count - BATCH) / seconds,
        slowest_rows_per_s=min(count, rows.order.window_rows) / max(windows),
        growth_mb=after - before,
        anonymous_mb=after,
    )


def anonymous_mb() -> float:
    """Return the resident memory of this process that no file stands behind, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["RssAnon"].split()[0]) * 1024 / 1e6
