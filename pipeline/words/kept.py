"""Arrays that take long to work out, kept in a file beside the compiled code for the next process.

A file that cannot be read is made again; where none can be written, each process works for itself.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from pipeline.compiled import FOLDER

Arrays = list[NDArray[Any]]


def keep(key: str, work_out: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that were kept under a key, or work them out and keep them.

    Args:
        key: Everything that the arrays depend on.
        work_out: Called where there are none; its arrays must be writable, as those of a file are:
            machine code is made for the one or the other.
    """
    path = FOLDER / f"{blake3(key.encode()).hexdigest(16)}.npz"
    # A zip file has a checksum of each array; a broken one shows in one of these ways.
    with (
        suppress(OSError, ValueError, KeyError, EOFError, BadZipFile),
        path.open("rb") as file,
        np.load(file) as kept,
    ):
        return [kept[f"arr_{number}"] for number in range(len(kept))]
    arrays = work_out()
    with suppress(OSError):
        _write(path, arrays)
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    """Write under a name of its own first: other processes may be about the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            np.savez(file, *arrays)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
