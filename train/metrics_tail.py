"""The end of `metrics.jsonl`, however long the file is."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from train.metrics import Line, parse_line

TAIL_BYTES = (1 << 18, 1 << 22, 1 << 25)
"""What is read, until scores are found: the last has some 70,000 steps, and takes a tenth of a
second. Presets score every 5,000 steps at most."""


class Tail(NamedTuple):
    """The end of a metrics file.

    Attributes:
        lines: The last ones with a loss, in order; [] where the file has none.
        validation: The last scores on held-out rows; {} where none were found.
    """

    lines: list[Line]
    validation: dict[str, Any]


def read_tail(path: Path, count: int) -> Tail:
    """Return the last `count` lines, and the scores nearest to the end; spoilt lines do not count.

    Args:
        path: The file; it need not be there.
        count: How many lines.
    """
    tail = Tail([], {})
    if not path.is_file():
        return tail
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        for size in TAIL_BYTES:
            file.seek(max(0, length - size))
            tail = _last(file.read(size).splitlines(keepends=True), count)
            if tail.validation or size >= length:
                break
    return tail


def _last(contents: list[bytes], count: int) -> Tail:
    lines: list[Line] = []
    validation: dict[str, Any] = {}
    for content in reversed(contents):
        if validation and len(lines) == count:
            break
        if len(lines) == count and b'"validation"' not in content:
            continue
        line = parse_line(content)
        if line is None or not isinstance(line.get("loss"), float | int):
            continue
        if len(lines) < count:
            lines.append(line)
        if not validation and isinstance(found := line.get("validation"), dict):
            validation = found
    return Tail(lines[::-1], validation)
