"""How a run was carried out last, which a resume goes on with unless it is told otherwise."""

import errno
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from shards.errors import DataError
from shards.files import write_text
from train.config import Execution, PresetName
from train.config import execution as make_execution
from train.crew import SharedError

EXECUTION_FILE = "execution.json"
OF_MEMORY = {"device", "memory", "micro_batch", "activation_checkpointing"}
"""Options that decide how much memory is taken, or there is."""
FULL = (errno.ENOSPC, errno.EDQUOT)


def write_execution(folder: Path, execution: Execution) -> None:
    """Keep how the run in `folder` is carried out."""
    write_text(folder / EXECUTION_FILE, json.dumps(asdict(execution), indent=1) + "\n")


def read_execution(folder: Path) -> dict[str, Any]:
    """Return how the run in `folder` was carried out last; {} where that is not known.

    Raises:
        DataError: The file cannot be read.
    """
    path = folder / EXECUTION_FILE
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        Execution(**content)
    except (ValueError, TypeError) as error:
        remedy = "delete it, and give the options again"
        raise DataError(f"{path} cannot be read ({error})", remedy) from error
    return content


def still_holding(kept: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was kept; with another choice of memory, not what running out of it has left.

    Args:
        kept: What `read_execution` returned.
        given: Options of this command.
    """
    lifted = {"most_tokens"} if given.keys() & OF_MEMORY else set()
    return {name: value for name, value in kept.items() if name not in lifted}


def taken_over(kept: Mapping[str, Any], given: Mapping[str, Any], preset: PresetName) -> str:
    """Return the options that are not given and differ from the defaults, as a person writes them.

    Args:
        kept: What `read_execution` returned.
        given: Options of this command.
        preset: The run's.
    """
    default = make_execution(preset)
    words: list[str] = []
    for field in fields(Execution):
        value = kept.get(field.name)
        if field.name in {"most_tokens", *given} or value in (None, getattr(default, field.name)):
            continue
        flag = "--" + field.name.replace("_", "-")
        size = f"{value}B" if field.name == "memory" else str(value)
        words += [flag] if value is True else [flag, size]
    return shlex.join(words)


def resume_command(folder: Path) -> str:
    """Return the command that goes on with a run."""
    return "python cli.py " + shlex.join(["pretrain", "--resume", "--out", str(folder)])


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Within `with`, a full disk and Ctrl-C are errors that tell how to go on with the run.

    Raises:
        DataError: Either happened. The command that began a run would be refused its folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        problem = f"{error.filename or folder}: {error.strerror}"
        remedy = f"make room on this disk, and go on with `{resume_command(folder)}`"
        raise DataError(problem, remedy) from error
    except KeyboardInterrupt:
        remedy = f"go on with `{resume_command(folder)}`"
        raise SharedError("interrupted", remedy) from None
