"""Checkpoints written by a thread while training goes on, and a person's command after each."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from train.checkpoint import Snapshot, delete_old, write_checkpoint
from train.hook import Hook, Say


class Saver:
    """Writes one snapshot at a time; to be used with `with`, which waits for the last.

    Args:
        checkpoints: The folder of checkpoints.
        keep: How many of the newest are kept.
        keep_every: Those of every so many steps are kept for good.
        command: Run by the shell after each, with its folder as $1; training does not wait for it,
            but for the last at the end. See `train.hook.Hook`. While it runs, its checkpoint is not
            deleted.
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
        self._hook = Hook(command, say) if command is not None else None
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._write: Future[None] | None = None
        self._step: int | None = None

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
            if self._hook is not None:
                self._hook.wait()
                self._delete_old()  # those that the command has read until now

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
        step, every = snapshot.state.step, self._keep_every
        is_kept = every is not None and step % every == 0
        folder = write_checkpoint(self._checkpoints, snapshot, is_kept=is_kept)
        self._step = step
        if self._hook is not None:
            self._hook.hand_over(folder)  # first: what it will read next must not be deleted
        self._delete_old()

    def _delete_old(self) -> None:
        if self._step is not None:
            busy = self._hook.folders if self._hook is not None else ()
            delete_old(self._checkpoints, self._step, self._keep, busy)
