"""Tasks that real clusters do in tests, and a command that has them done.

`python cluster_tasks.py FOLDER EXECUTOR [deadly|wrong|slow]`; this folder is on PYTHONPATH.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from pipeline.executors import Crew
from pipeline.stage import Part, finish, run_parts
from shards.errors import DataError
from shards.files import write_text
from shards.manifest import Manifest, record_file

NUMBERS = 12
PLAN = Manifest(stage="count", config={}, inputs={}, files={})


@dataclass(frozen=True)
class Number:
    """Write one number; the attempts at it are told by files beside the folder."""

    out: Path
    value: int
    how: str

    @property
    def name(self) -> str:
        """Name the part."""
        return f"part-{self.value:05d}"


def write_number(task: Number) -> Part:
    """Write a number; number 5 ends its process at the first attempt, or is wrong."""
    log = task.out.with_name(f"{task.out.name}-attempts")
    log.mkdir(exist_ok=True)
    attempt = len(list(log.glob(f"{task.value}-*")))
    (log / f"{task.value}-{attempt}").touch()
    time.sleep(5 if task.how == "slow" and task.value > 3 else 0.1)
    if task.value == 5 and task.how == "wrong":
        raise DataError("number 5 is wrong", "take another")
    if task.value == 5 and task.how == "deadly" and not attempt:
        (task.out / f"part-00005.arrow.{0:032x}.partial").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    write_text(task.out / f"{task.value}.txt", str(task.value))
    return Part({f"{task.value}.txt": record_file(task.out / f"{task.value}.txt")})


def main() -> None:
    """Do all tasks; print their numbers, or an error as the command line does."""
    out, executor, how = Path(sys.argv[1]), sys.argv[2], "".join(sys.argv[3:])
    versions = {"numpy": version("numpy"), "python": python_version()}
    plan = replace(PLAN, versions=versions)
    tasks = [Number(out, value, how) for value in range(NUMBERS)]
    files = {}
    try:
        for task, part in run_parts(out, plan, tasks, write_number, Crew(2, executor)):
            files |= part.files
            sys.stdout.write(f"{task.value}\n")
            sys.stdout.flush()
    except DataError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
    finish(out, replace(plan, files=files))


if __name__ == "__main__":
    from cluster_tasks import main as run  # under the name that workers know

    run()
