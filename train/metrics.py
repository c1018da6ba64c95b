"""`metrics.jsonl`: one line for every step, once; and TensorBoard events where it is installed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from shards.files import write_atomically


class MetricsWriter:
    """Append a line a step to a file, and its numbers to TensorBoard's events."""

    def __init__(self, file: TextIO, events: Any) -> None:  # noqa: ANN401
        self._file = file
        self._events = events

    def write(self, line: dict[str, Any]) -> None:
        """Write one step's numbers; `line["step"]` counts updates done, from 1."""
        self._file.write(json.dumps(line) + "\n")
        if self._events is not None:
            for name, value in flatten(line):
                if name != "step":
                    self._events.add_scalar(name, value, line["step"])

    def sync(self) -> None:
        """Put all lines on disk, before a checkpoint that a resumed run may start from."""
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def write_metrics(path: Path, first_step: int) -> Iterator[MetricsWriter]:
    """Open the metrics of a run that has done `first_step` steps; drop the lines of later ones."""
    with write_atomically(path) as kept:
        for line in read_metrics(path):
            if line["step"] > first_step:
                break
            kept.write((json.dumps(line) + "\n").encode())
    events = None
    if find_spec("tensorboard") is not None:
        from torch.utils.tensorboard import SummaryWriter

        events = SummaryWriter(str(path.parent), purge_step=first_step + 1)
    try:
        with path.open("a", encoding="utf-8", buffering=1) as file:
            yield MetricsWriter(file, events)
    finally:
        if events is not None:
            events.close()


def flatten(line: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield ("outer/inner", number) for the numbers of a nested dictionary."""
    for name, value in line.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a metrics file, up to the first that a kill or a power cut spoilt.

    Lines are put on disk before each checkpoint, so what is spoilt is done again after a resume.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:
                return
            if not (text.endswith("\n") and isinstance(line, dict) and "step" in line):
                return
            yield line
