"""The one place where numba is named: compile a function, keep its type, cache the machine code.

A cached function is compiled anew when its own file changes, not when a file that it calls does:
after a change in `pipeline/draws.py` delete `__pycache__`.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile `function` to machine code at its first call."""
    return cast(Function, numba.njit(cache=True)(function))
