"""The one place where numba is named: compile a function, keep its type, cache the machine code.

numba notices a change of a function's own file only, not of one that it calls. The cache therefore
has a folder for each state of the sources, so that no upgrade runs old machine code: of the files
that import this one, and of `shards`. Compiled functions use constants of these alone.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Index: TypeAlias = Any
"""A whole number in compiled code, of a width that numba decides."""

Function = TypeVar("Function", bound=Callable[..., object])


def _cache_folder() -> Path:
    """Return where the machine code of the sources as they are now is kept."""
    package = Path(__file__).parent
    ours = (path.read_bytes() for path in sorted(package.rglob("*.py")))
    others = (path.read_bytes() for path in sorted(package.with_name("shards").rglob("*.py")))
    sources = hashlib.blake2b(digest_size=8)
    for content in [*(code for code in ours if b"pipeline.compiled" in code), *others]:
        sources.update(content)
    kept = package / "__pycache__"
    if not os.access(kept if kept.exists() else package, os.W_OK):
        kept = Path.home() / ".cache" / "hearth"
    return kept / f"compiled-{sources.hexdigest()}"


if "NUMBA_CACHE_DIR" not in os.environ:
    vars(numba.config)["CACHE_DIR"] = str(_cache_folder())


def compiled(function: Function) -> Function:
    """Compile `function` to machine code at its first call."""
    return cast(Function, numba.njit(cache=True)(function))


def inlined(function: Function) -> Function:
    """Compile `function` into each function that calls it: for the innermost of hot loops."""
    return cast(Function, numba.njit(cache=True, inline="always")(function))


@intrinsic
def _eight_bytes(context: Any, text: Any, at: Any) -> Any:  # noqa: ANN401
    """Be `eight_bytes`, aligned or not."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:  # noqa: ANN401
        array = context.make_array(signature.args[0])(context, builder, given[0])
        place = builder.gep(array.data, [given[1]])
        word = context.get_value_type(types.uint64)
        loaded = builder.load(builder.bitcast(place, word.as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(text, types.intp), generate


@intrinsic
def _trailing_zeros(context: Any, bits: Any) -> Any:  # noqa: ANN401
    """Be `trailing_zeros`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:  # noqa: ANN401
        flag = context.get_value_type(types.boolean)(1)  # of nothing but zeros the count is open
        return builder.cttz(given[0], flag)

    return types.uint64(types.uint64), generate


eight_bytes: Callable[[NDArray[np.uint8], Index], np.uint64] = cast(Any, _eight_bytes)
"""Read `text[at : at + 8]` as one number, the first byte its lowest; all eight must be there."""
trailing_zeros: Callable[[np.uint64], np.uint64] = cast(Any, _trailing_zeros)
"""Count the zeros under the lowest one of a number that is not 0."""
