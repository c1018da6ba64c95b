"""A task on its way to another machine: it may be begun twice there, and the machine may differ."""

import os
import platform
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Generic, TypeVar
from uuid import uuid4

from blake3 import blake3

from shards.errors import DataError
from shards.files import ATTEMPT, hash_file

Task = TypeVar("Task")
Result = TypeVar("Result")

_ALONE = threading.Lock()
"""Held by the task of this process: what an encoder has learnt is shared by all of them."""


@dataclass(frozen=True)
class Errand(Generic[Task, Result]):
    """A function as another machine is to do it.

    Attributes:
        function: What is done with each task.
        plan: The stage's plan on disk.
        content: Its hash: another one means that this task is of a command that has ended.
        versions: Of the libraries that can change the result.
        sources: Hash of Hearth's own code.
    """

    function: Callable[[Task], Result]
    plan: Path
    content: str
    versions: dict[str, str]
    sources: str

    def __call__(self, task: Task) -> Result:
        """Do a task, unless this machine would do it differently.

        Raises:
            DataError: It does not see the same files, or has other versions.
        """
        with _ALONE:
            self._check()
            os.environ["TOKENIZERS_PARALLELISM"] = "false"  # others share the cores
            attempt = ATTEMPT.set(f".{uuid4().hex}")
            try:
                return self.function(task)
            finally:
                ATTEMPT.reset(attempt)

    def _check(self) -> None:
        here = socket.gethostname()
        same = "install the same on all machines, and start their workers again"
        if source_hash() != self.sources:
            raise DataError(f"{here} has another state of Hearth's code", same)
        for name, expected in self.versions.items():
            if (found := _version(name)) != expected:
                raise DataError(f"{here} has {name} {found}, not {expected}", same)
        if not self.plan.is_file() or hash_file(self.plan) != self.content:
            remedy = "put it where all machines see it under the same path"
            raise DataError(f"{here} does not see {self.plan.parent.parent} as it is", remedy)


@cache
def source_hash() -> str:
    """Return a hash of all code that tasks may run."""
    package = Path(__file__).parent
    found = blake3()
    for folder in (package, package.with_name("shards")):
        for path in sorted(folder.rglob("*.py")):
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
