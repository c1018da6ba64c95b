"""Arrays that take long to work out, kept in a file beside the compiled code for the next process.

A file that is not as it was written is made again; where none can be written, each process works
for itself.
"""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from pipeline.compiled import FOLDER

HASH_BYTES = 32
"""A file begins with the BLAKE3 hash of the rest: not all of a zip file is under a checksum."""

Arrays = list[NDArray[Any]]


def keep(key: str, work_out: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that were kept under a key, or work them out and keep them.

    Args:
        key: Everything that the arrays depend on.
        work_out: Called where there are none; its arrays must be writable, as those of a file are:
            machine code is made for the one or the other.
    """
    path = FOLDER / f"{blake3(key.encode()).hexdigest(16)}.kept"
    with suppress(OSError):
        raw = path.read_bytes()
        if blake3(raw[HASH_BYTES:]).digest() == raw[:HASH_BYTES]:
            with np.load(BytesIO(raw[HASH_BYTES:])) as kept:
                return [kept[f"arr_{number}"] for number in range(len(kept))]
    arrays = work_out()
    with suppress(OSError):
        _write(path, arrays)
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    """Write under a name of its own first: other processes may be about the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{uuid4().hex}")
    content = BytesIO()
    np.savez(content, *arrays)
    raw = content.getvalue()
    try:
        temporary.write_bytes(blake3(raw).digest() + raw)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
