"""A task on its way to another machine: it may be begun twice there, and the machine may differ."""

import os
import platform
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Generic, TypeVar
from uuid import uuid4

from blake3 import blake3

from shards.errors import DataError
from shards.files import ATTEMPT, Attempt

Task = TypeVar("Task")
Result = TypeVar("Result")

_EVERYWHERE = ("python", "numba")
"""What all tasks run on, whether or not a stage's manifest names it."""
_ALONE = threading.Lock()
"""Held by the task of this process: what an encoder has learnt is shared by all of them."""


@dataclass(frozen=True)
class Errand(Generic[Task, Result]):
    """A function as another machine is to do it.

    Attributes:
        function: What is done with each task.
        mark: A file that stands as long as the command that sent the task; no other command has
            one of this name.
        versions: Of the libraries that can change the result.
        sources: Hash of Hearth's own code.
    """

    function: Callable[[Task], Result]
    mark: Path
    versions: dict[str, str]
    sources: str

    def __call__(self, task: Task) -> Result:
        """Do a task, unless this machine would do it differently.

        Raises:
            DataError: It does not see the same files, or has other versions, or the command has
                ended meanwhile: then no file takes its place.
        """
        with _ALONE:
            self._check_machine()
            self._check_mark()
            os.environ["TOKENIZERS_PARALLELISM"] = "false"  # others share the cores
            attempt = ATTEMPT.set(Attempt(f".{uuid4().hex}", self._check_mark))
            try:
                return self.function(task)
            finally:
                ATTEMPT.reset(attempt)

    def _check_machine(self) -> None:
        here = socket.gethostname()
        same = "install the same on all machines, and start their workers again"
        if source_hash() != self.sources:
            raise DataError(f"{here} has another state of Hearth's code", same)
        for name, expected in self.versions.items():
            if (found := _version(name)) != expected:
                raise DataError(f"{here} has {name} {found}, not {expected}", same)

    def _check_mark(self) -> None:
        """Open the file rather than look for it: NFS asks the server then, not its own memory."""
        try:
            self.mark.open().close()
        except FileNotFoundError as error:
            here, folder = socket.gethostname(), self.mark.parent.parent
            remedy = "put it where all machines see it under the same path"
            problem = f"{here} does not see {folder} as it is, or the command has ended"
            raise DataError(problem, remedy) from error


def all_versions(versions: Mapping[str, str]) -> dict[str, str]:
    """Return the versions that a stage names, and those here of what every task runs on."""
    return {name: _version(name) for name in _EVERYWHERE} | dict(versions)


@cache
def source_hash() -> str:
    """Return a hash of all code that tasks may run; an editor's hidden files are none."""
    package = Path(__file__).parent
    found = blake3()
    for folder in (package, package.with_name("shards")):
        for path in sorted(folder.rglob("[!.]*.py")):
            found.update(path.relative_to(folder.parent).as_posix().encode())
            found.update(path.read_bytes())
    return found.hexdigest(16)


@cache
def _version(package: str) -> str:
    if package == "python":
        return platform.python_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
