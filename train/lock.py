"""One command at a time trains in a run's folder."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import DataError

LOCK_FILE = "run.lock"
HELD = (errno.EACCES, errno.EAGAIN)
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems answer that know of no locks: some network folders."""


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Within `with`, hold the lock of a run's folder, which is made if need be.

    The system lets go of it however the process ends; the file stays, and means nothing by itself.
    Where there are no such locks (Windows, some network folders), nothing is held.

    Raises:
        DataError: Another command holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a+", encoding="ascii") as file:
        if not _take(file.fileno()):
            file.seek(0)
            problem = f"another command (process {file.read().strip() or '?'}) trains in {folder}"
            raise DataError(problem, "wait for its end, or end it")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a command holds the lock of a run's folder; False where there are none.

    It is asked for as one of several readers, and let go of at once.
    """
    path = folder / LOCK_FILE
    if sys.platform == "win32" or not path.is_file():
        return False
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in HELD
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
    return False


def _take(descriptor: int) -> bool:
    """Return whether the lock is this process's now, or can be nobody's."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        if error.errno not in WITHOUT_LOCKS:
            raise
    return True
