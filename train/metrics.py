"""`metrics.jsonl`: one line for every step, once; and TensorBoard events where it is installed."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

Line = dict[str, Any]
"""The numbers of a step; `line["step"]` counts updates done, from 1."""


class MetricsWriter:
    """Append a line a step to a file, and the last of some to TensorBoard's events."""

    def __init__(self, file: TextIO, events: Any) -> None:  # noqa: ANN401
        self._file = file
        self._events = events

    def write(self, lines: Sequence[Line]) -> None:
        """Write the lines of the steps since the last call; TensorBoard gets the last of them."""
        self._file.write("".join(json.dumps(line) + "\n" for line in lines))
        self._file.flush()
        if self._events is not None and lines:
            for name, value in flatten(lines[-1]):
                if name != "step":
                    self._events.add_scalar(name, value, lines[-1]["step"])

    def sync(self) -> None:
        """Put all lines on disk, before a checkpoint that a resumed run may start from."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._events is not None:
            self._events.flush()


@contextmanager
def write_metrics(path: Path, first_step: int) -> Iterator[MetricsWriter]:
    """Open the metrics of a run that has done `first_step` steps; drop the lines of later ones.

    TensorBoard is told to forget later ones too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = 0
    for line, end in _lines(path):
        if line["step"] > first_step:
            break
        kept = end
    events = None
    if find_spec("tensorboard") is not None:
        from torch.utils.tensorboard import SummaryWriter

        events = SummaryWriter(str(path.parent), purge_step=first_step + 1)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.truncate(kept)
            yield MetricsWriter(file, events)
    finally:
        if events is not None:
            events.close()


def flatten(line: Line, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield ("outer/inner", number) for the numbers of a nested dictionary."""
    for name, value in line.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}/")
        elif value is not None:
            yield prefix + name, value


def read_metrics(path: Path) -> Iterator[Line]:
    """Yield the lines of a metrics file, up to the first that a kill or a power cut spoilt.

    Lines are put on disk before each checkpoint, so what is spoilt is done again after a resume.
    """
    return (line for line, _ in _lines(path))


def _lines(path: Path) -> Iterator[tuple[Line, int]]:
    """Yield each good line, and where in the file it ends."""
    if not path.is_file():
        return
    end = 0
    with path.open("rb") as file:
        for content in file:
            try:
                line = json.loads(content)
            except ValueError:
                return
            if not (content.endswith(b"\n") and isinstance(line, dict) and "step" in line):
                return
            end += len(content)
            yield line, end
