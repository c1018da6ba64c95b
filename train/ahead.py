"""What will be asked for next, made in a thread while what was asked for last is used."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Ahead(Generic[Key, Value]):
    """A function that can be told its next argument.

    Args:
        make: The function; it is called by one thread at a time.
    """

    def __init__(self, make: Callable[[Key], Value]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, "ahead")
        self._foreseen: tuple[Key, Future[Value]] | None = None

    def foresee(self, key: Key) -> None:
        """Begin to make what `key` gives."""
        self._foreseen = key, self._thread.submit(self._make, key)

    def take(self, key: Key) -> Value:
        """Return what `key` gives; something else that was foreseen is dropped."""
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None:
            if foreseen[0] == key:
                return foreseen[1].result()
            wait([foreseen[1]])
        return self._make(key)
