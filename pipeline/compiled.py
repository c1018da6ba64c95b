"""The one place where numba is named: compile a function, keep its type, cache the machine code.

numba notices a change of a function's own file only, not of one that it calls. The cache therefore
has a folder for each state of the sources, so that no upgrade runs old machine code: of the files
that import this one, and of `shards`. Compiled functions use constants of these alone.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

Index: TypeAlias = Any
"""A whole number in compiled code, of a width that numba decides."""

KEPT_SECONDS = 7 * 86_400
"""How long the machine code of other sources is kept: two versions may be in use."""

Function = TypeVar("Function", bound=Callable[..., object])


def _cache_folder() -> Path:
    """Return where the machine code of the sources as they are now is kept."""
    package = Path(__file__).parent
    ours = (path.read_bytes() for path in sorted(package.rglob("[!.]*.py")))
    others = (path.read_bytes() for path in sorted(package.with_name("shards").rglob("[!.]*.py")))
    sources = hashlib.blake2b(digest_size=8)
    for content in [*(code for code in ours if b"pipeline.compiled" in code), *others]:
        sources.update(content)
    kept = package / "__pycache__"
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        kept = Path(chosen)
    elif not os.access(kept if kept.exists() else package, os.W_OK):
        kept = Path.home() / ".cache" / "hearth"
    return kept / f"compiled-{sources.hexdigest()}"


def _remove_old(folder: Path) -> None:
    """Remove what older sources left beside a new folder, unless it was written to lately."""
    if folder.exists():
        return
    for other in folder.parent.glob("compiled-*"):
        if time.time() - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)


FOLDER = _cache_folder()
_remove_old(FOLDER)
vars(numba.config)["CACHE_DIR"] = str(FOLDER)


def compiled(function: Function) -> Function:
    """Compile `function` to machine code at its first call."""
    return cast(Function, numba.njit(cache=True)(function))


def inlined(function: Function) -> Function:
    """Compile `function` into each function that calls it: for the innermost of hot loops."""
    return cast(Function, numba.njit(cache=True, inline="always")(function))


Address: TypeAlias = Any
"""Where the memory of an array begins: its `ctypes.data`.

In the innermost loops it stands for an array of bytes. numba counts references to an array at each
call of a function that is given one, and that took three quarters of the time of finding words.
The array must outlive the address, and nothing checks its bounds.
"""


def _read(result: Any, bits: Any) -> Callable[..., Any]:  # noqa: ANN401
    """Return the machine code that reads so many bits, aligned or not, at an address."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:  # noqa: ANN401
        kind = context.get_value_type(bits)
        place = builder.inttoptr(builder.add(*given), kind.as_pointer())
        loaded = builder.load(place)
        loaded.align = 1
        return builder.zext(loaded, context.get_value_type(result))

    return generate


@intrinsic
def _byte_at(context: Any, address: Any, at: Any) -> Any:  # noqa: ANN401
    """Be `byte_at`."""
    return types.int64(types.int64, types.int64), _read(types.int64, types.uint8)


@intrinsic
def _eight_bytes(context: Any, address: Any, at: Any) -> Any:  # noqa: ANN401
    """Be `eight_bytes`."""
    return types.uint64(types.int64, types.int64), _read(types.uint64, types.uint64)


@intrinsic
def _trailing_zeros(context: Any, bits: Any) -> Any:  # noqa: ANN401
    """Be `trailing_zeros`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:  # noqa: ANN401
        flag = context.get_value_type(types.boolean)(1)  # of nothing but zeros the count is open
        return builder.cttz(given[0], flag)

    return types.uint64(types.uint64), generate


byte_at: Callable[[Address, Index], Index] = cast(Any, _byte_at)
"""Read the byte `at` bytes after an address."""
eight_bytes: Callable[[Address, Index], np.uint64] = cast(Any, _eight_bytes)
"""Read eight bytes as one number, the first its lowest; all eight must be there."""
trailing_zeros: Callable[[np.uint64], np.uint64] = cast(Any, _trailing_zeros)
"""Count the zeros under the lowest one of a number that is not 0."""
