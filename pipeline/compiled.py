"""The one place where numba is named: compile a function, keep its type, cache the machine code.

A cached function is compiled anew when its own file changes, not when a file that it calls does:
after a change in `pipeline/draws.py` delete `__pycache__`.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba

Index: TypeAlias = Any
"""A whole number in compiled code, of a width that numba decides."""

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile `function` to machine code at its first call."""
    return cast(Function, numba.njit(cache=True)(function))


def inlined(function: Function) -> Function:
    """Compile `function` into each function that calls it: for the innermost of hot loops."""
    return cast(Function, numba.njit(cache=True, inline="always")(function))
