"""Progress bars: only on a terminal, and none where a person wants quiet."""

from typing import Any

_is_hidden = False
"""Of the whole process: threads have bars too."""


def hide_bars(*, hidden: bool) -> None:
    """Hide the bars that are made from now on, or show them again."""
    global _is_hidden
    _is_hidden = hidden


def bar(**how: Any) -> Any:  # noqa: ANN401
    """Return a `tqdm.tqdm` of these arguments; where nobody looks at a terminal, it is silent."""
    from tqdm import tqdm

    return tqdm(**how, disable=True if _is_hidden else None)
