"""A person's command, run for checkpoints one after another while training goes on."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread

Say = Callable[[str], None]

GRACE = 1.0
"""Seconds that a command may take at the end before a person is told what is waited for."""


class Hook:
    """Runs a command with a checkpoint's folder as $1, for one checkpoint at a time.

    Where it still runs, the newest checkpoint waits and those between are left out: so the newest
    is always handed over. The command's failure is a warning.

    Args:
        command: For the shell; a process of its own.
        say: Called with each line that a person should read, from another thread too.
    """

    def __init__(self, command: str, say: Say) -> None:
        self._command, self._say = command, say
        self._lock = Lock()
        self._running: Path | None = None
        self._next: Path | None = None
        self._thread: Thread | None = None

    @property
    def folders(self) -> list[Path]:
        """Return the checkpoints that must stay: the one in work, and the one that waits."""
        with self._lock:
            return [folder for folder in (self._running, self._next) if folder is not None]

    def hand_over(self, folder: Path) -> None:
        """Run the command for a checkpoint, now or when it is done with the one before."""
        with self._lock:
            busy, left_out = self._running, self._next
            if busy is None:
                self._running = folder
                # A daemon: a person who waits no longer is not held up when Python ends.
                self._thread = Thread(target=self._work, name="on-checkpoint", daemon=True)
                self._thread.start()
                return
            self._next = folder
        instead = f", {left_out.name} is left out" if left_out is not None else ""
        self._say(f"--on-checkpoint still works on {busy.name}: {folder.name} waits{instead}")

    def wait(self) -> None:
        """Wait until the command is done with all; say what is waited for if that takes long."""
        if self._thread is None:
            return
        self._thread.join(GRACE)
        if folders := self.folders:
            names = ", then ".join(folder.name for folder in folders)
            self._say(f"waiting for --on-checkpoint to be done with {names}; Ctrl-C gives it up")
        self._thread.join()

    def _work(self) -> None:
        while (folder := self._running) is not None:
            self._run(folder)
            with self._lock:
                self._running, self._next = self._next, None

    def _run(self, folder: Path) -> None:
        try:
            done = subprocess.run(
                ["sh", "-c", self._command, "on-checkpoint", str(folder)],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is meant for the training
                check=False,
            )
        except OSError as error:
            self._say(f"--on-checkpoint could not be run for {folder.name}: {error}")
        else:
            if done.returncode:
                status = f"with status {done.returncode}"
                self._say(f"--on-checkpoint failed for {folder.name}, {status}")
