"""The exception of bad data, where the command line, which may not import `shards`, finds it."""

from shards.errors import DataError

__all__ = ["DataError"]
