"""`metrics.jsonl`: one line for every step, once; and TensorBoard events where it is installed."""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from shards.files import write_atomically

Say = Callable[[str], None]
Line = dict[str, Any]
"""The numbers of a step; `line["step"]` counts updates done, from 1."""
MOST_NAMED = 8
"""Spans of missing steps that are named."""


class MetricsWriter:
    """Append a line a step to a file, and the last of some to TensorBoard's events."""

    def __init__(self, file: TextIO, events: Any) -> None:  # noqa: ANN401
        self._file = file
        self._events = events

    def write(self, lines: Sequence[Line]) -> None:
        """Write the lines of the steps since the last call; TensorBoard gets the last of them.

        What is no finite number is None, for which JSON has a word.
        """
        plain = [_plain(line) for line in lines]
        self._file.write("".join(json.dumps(one, allow_nan=False) + "\n" for one in plain))
        self._file.flush()
        if self._events is not None and plain:
            for name, value in flatten(plain[-1]):
                if name != "step":
                    self._events.add_scalar(name, value, plain[-1]["step"])

    def sync(self) -> None:
        """Put all lines on disk, before a checkpoint that a resumed run may start from."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._events is not None:
            self._events.flush()


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def write_metrics(
    path: Path, first_step: int, say: Say = lambda line: None
) -> Iterator[MetricsWriter]:
    """Open the metrics of a run that has done `first_step` steps; drop the lines of later ones.

    TensorBoard is told to forget later ones too.

    Args:
        path: The file.
        first_step: The steps whose lines stay, as far as they are whole. Where some are missing and
            others are spoilt, a copy of the file stays beside it.
        say: Called with a line that names the missing steps.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _keep_lines(path, first_step, say)
    events = None
    if find_spec("tensorboard") is not None:
        from torch.utils.tensorboard import SummaryWriter

        events = SummaryWriter(str(path.parent), purge_step=first_step + 1)
    try:
        with path.open("a", encoding="utf-8") as file:
            yield MetricsWriter(file, events)
    finally:
        if events is not None:
            events.close()


def _keep_lines(path: Path, first_step: int, say: Say) -> None:
    """Leave the good lines of steps up to `first_step`, and name those that have none."""
    spans, gaps, is_spoilt = _look_through(path, first_step)
    has_holes = len(spans) > 1 or any(start for start, _ in spans)
    if gaps:
        say(_describe(path, gaps, _copy_beside(path) if is_spoilt or has_holes else None))
    if has_holes:
        _cut_out(path, spans)
    elif path.exists():
        os.truncate(path, spans[0][1] if spans else 0)


class _Findings(NamedTuple):
    """Spans of bytes to keep; missing steps, first and last of each gap; whether any is spoilt."""

    spans: list[tuple[int, int]]
    gaps: list[tuple[int, int]]
    is_spoilt: bool


def _look_through(path: Path, first_step: int) -> _Findings:
    spans: list[tuple[int, int]] = []
    gaps: list[tuple[int, int]] = []
    last, is_spoilt = 0, False
    for line, start, end in _lines(path, first_step):
        if line is None:
            is_spoilt = True
            continue
        if line["step"] > last + 1:
            gaps.append((last + 1, line["step"] - 1))
        last = line["step"]
        joins = bool(spans) and spans[-1][1] == start
        spans.append((spans.pop()[0] if joins else start, end))
        if last == first_step:
            break
    if last < first_step:
        gaps.append((last + 1, first_step))
    return _Findings(spans, gaps, is_spoilt)


def _cut_out(path: Path, spans: Sequence[tuple[int, int]]) -> None:
    """Write a file anew, with some spans of its bytes."""
    with path.open("rb") as old, write_atomically(path) as new:
        for start, end in spans:
            old.seek(start)
            while start < end:
                start += new.write(old.read(min(end - start, 1 << 20)))


def _copy_beside(path: Path) -> Path:
    """Copy a file under a name that is free, and return that."""
    names = (path.with_name(f"{path.stem}-damaged-{number}{path.suffix}") for number in count(1))
    copy = next(name for name in names if not name.exists())
    shutil.copyfile(path, copy)
    return copy


def _describe(path: Path, gaps: Sequence[tuple[int, int]], copy: Path | None) -> str:
    """Return what a person should know of lines that are missing."""
    named = [str(one) if one == other else f"{one}-{other}" for one, other in gaps[:MOST_NAMED]]
    steps = ", ".join([*named, *(["..."] if len(gaps) > MOST_NAMED else [])])
    remark = "" if copy is None else f"; the damaged file is now {copy.name}"
    return f"{path} has no line for {'step' if steps.isdigit() else 'steps'} {steps}{remark}"


def flatten(line: Line, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield ("outer/inner", number) for the numbers of a nested dictionary."""
    for name, value in line.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}/")
        elif value is not None:
            yield prefix + name, value


def read_metrics(path: Path, seen: Callable[[int], object] = lambda size: None) -> Iterator[Line]:
    """Yield the whole lines of a metrics file, of steps that rise; pass over spoilt ones.

    Args:
        path: The file.
        seen: Called with the size of each line in bytes, for a progress bar.
    """
    for line, start, end in _lines(path, math.inf):
        seen(end - start)
        if line is not None:
            yield line


class _Found(NamedTuple):
    """A line, None where it is spoilt, and the bytes of the file that it takes."""

    line: Line | None
    start: int
    end: int


def _lines(path: Path, most: float) -> Iterator[_Found]:
    """Yield each line up to step `most`, and the spoilt ones: no line at all, or out of order."""
    if not path.is_file():
        return
    last = start = 0
    with path.open("rb") as file:
        for content in file:
            line, end = parse_line(content), start + len(content)
            step = 0 if line is None else line["step"]
            if step <= most:
                yield _Found(line if step > last else None, start, end)
                last = max(last, step)
            start = end


def _whole(text: str) -> int:
    """Return a number; an OverflowError is raised if it is too large to reckon with."""
    number = int(text)
    float(number)
    return number


DECODER = json.JSONDecoder(parse_int=_whole)


def parse_line(content: bytes) -> Line | None:
    """Return a line of metrics; None where a kill, a power cut or a disk has spoilt it."""
    try:
        line = DECODER.decode(content.decode())
    except (ValueError, OverflowError):
        return None
    is_line = content.endswith(b"\n") and isinstance(line, dict)
    return line if is_line and type(line.get("step")) is int else None
