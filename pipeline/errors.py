"""Errors that the command line tells, which may not import `shards`; imports nothing heavy."""

import sys

from shards.errors import DataError

__all__ = ["DataError", "lacking"]


def lacking(package: str | None) -> DataError:
    """Return the error that this Python does not have a package."""
    problem = f"this Python ({sys.executable}) has no package {package}"
    return DataError(problem, "run `source .venv/bin/activate`, or `pip install -e .`")
