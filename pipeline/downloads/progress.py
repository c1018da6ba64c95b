"""Work on one file at a time: how far it is, what it sums up to, and how to stop it."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from blake3 import blake3

from pipeline.bar import bar
from pipeline.sources import RemoteFile

BLOCK = 1 << 20
"""Bytes read at a time."""


@dataclass
class Network:
    """What a run has seen of the network; its threads share it.

    Attributes:
        has_given: Whether anything has come from any host.
        is_missing: Whether a host was given up for want of a network: others get one attempt each.
    """

    has_given: bool = False
    is_missing: bool = False


@dataclass(frozen=True)
class Slot:
    """A file's place among those that are worked on at a time.

    Attributes:
        position: Its line on the screen.
        cancel: Ends the work on this file.
        network: What the run has seen of it.
        warn: Takes one sentence where there is no screen for it.
    """

    position: int
    cancel: Event
    network: Network
    warn: Callable[[str], None]

    def check(self) -> None:
        """Raise CancelledError if the work is to end."""
        if self.cancel.is_set():
            raise CancelledError

    def bar(self, name: str, total: int | None, initial: int = 0) -> Any:  # noqa: ANN401
        """Return a bar of bytes with rate and time left, `initial` of them there before."""
        return bar(
            desc=name,
            total=total,
            initial=initial,
            unit="B",
            unit_scale=True,
            leave=False,
            position=self.position,
        )

    def wait(self, seconds: float, why: str) -> None:
        """Wait and say why: on the screen as long as it lasts, or once through `warn`."""
        text = f"{why}; next attempt in {seconds:.0f} s"
        place = self.position
        with bar(desc=text, bar_format="{desc}", leave=False, position=place) as line:
            if line.disable:
                self.warn(text)
            self.cancel.wait(seconds)
        self.check()


class Sums:
    """BLAKE3 and the published kinds of checksum, all in one pass over the bytes."""

    def __init__(self, checksums: Iterable[str | None], slot: Slot) -> None:
        kinds = {checksum.partition(":")[0] for checksum in checksums if checksum}
        self.bytes = 0
        self._slot = slot
        self._blake3 = blake3()
        self._others = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}

    def update(self, data: bytes) -> None:
        """Take in more bytes; raise CancelledError if the work is to end."""
        self._slot.check()
        self.bytes += len(data)
        self._blake3.update(data)
        for other in self._others.values():
            other.update(data)

    def read(self, path: Path, name: str) -> None:
        """Take in a whole file and show how far that is."""
        title = f"checking {name}"
        with path.open("rb") as file, self._slot.bar(title, path.stat().st_size) as bar:
            while block := file.read(BLOCK):
                self.update(block)
                bar.update(len(block))

    @property
    def blake3(self) -> str:
        """The BLAKE3 hash in hexadecimal."""
        return self._blake3.hexdigest()

    def difference(self, file: RemoteFile) -> str | None:
        """Return how these bytes differ from the published size and sum, None if they do not."""
        if file.bytes is not None and self.bytes != file.bytes:
            return f"it has {self.bytes:,} bytes, not {file.bytes:,}"
        if file.checksum is None:
            return None
        kind, _, published = file.checksum.partition(":")
        found = self._others[kind].hexdigest()
        return None if found == published.lower() else f"its {kind} is {found}, not {published}"
