"""Checkpoints written by a thread while training goes on, and a person's command after each."""

import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from train.checkpoint import Snapshot, delete_old, write_checkpoint

Say = Callable[[str], None]


class Saver:
    """Writes one snapshot at a time; to be used with `with`, which waits for the last.

    Args:
        checkpoints: The folder of checkpoints.
        keep: How many of the newest are kept.
        keep_every: Those of every so many steps are kept for good.
        command: Run by the shell after each, with its folder as $1; a process of its own that
            training does not wait for, but for the last at the end. While it runs, its checkpoint
            is not deleted, and it is not run for another. Its failure is a warning.
        say: Called with each line that a person should read.
    """

    def __init__(
        self,
        checkpoints: Path,
        *,
        keep: int,
        keep_every: int | None,
        command: str | None,
        say: Say,
    ) -> None:
        self._checkpoints = checkpoints
        self._keep, self._keep_every = keep, keep_every
        self._command = command
        self._say = say
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._write: Future[None] | None = None
        self._child: tuple[Path, subprocess.Popen[bytes]] | None = None

    def __enter__(self) -> "Saver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is under way; an error of the last checkpoint is raised here."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            if self._child is not None:
                self._child[1].wait()
                self._look_after_child()

    def save(self, snapshot: Snapshot) -> None:
        """Have a snapshot written; wait for the one before it, if that still is."""
        self.wait()
        self._write = self._thread.submit(self._save, snapshot)

    def check(self) -> None:
        """Raise what the last checkpoint failed with, if it has; do not wait for it."""
        if self._write is not None and self._write.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the last checkpoint is on disk.

        Raises:
            OSError: It could not be written.
        """
        write, self._write = self._write, None
        if write is not None:
            write.result()

    def _save(self, snapshot: Snapshot) -> None:
        folder = write_checkpoint(self._checkpoints, snapshot)
        self._look_after_child()
        busy = self._child[0] if self._child else None
        delete_old(self._checkpoints, snapshot.state.step, self._keep, self._keep_every, busy)
        if self._command is not None:
            self._start_child(self._command, folder)

    def _start_child(self, command: str, folder: Path) -> None:
        if self._child is not None:
            busy = self._child[0].name
            self._say(f"--on-checkpoint still works on {busy}: not run for {folder.name}")
            return
        try:
            child = subprocess.Popen(
                ["sh", "-c", command, "on-checkpoint", str(folder)],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is meant for the training
            )
        except OSError as error:
            self._say(f"--on-checkpoint could not be run for {folder.name}: {error}")
        else:
            self._child = folder, child

    def _look_after_child(self) -> None:
        """Tell how the command ended, if it has."""
        if self._child is None or (status := self._child[1].poll()) is None:
            return
        if status != 0:
            self._say(f"--on-checkpoint failed for {self._child[0].name}, with status {status}")
        self._child = None
