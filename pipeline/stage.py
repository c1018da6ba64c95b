"""What every stage does alike: recognise finished work, keep finished parts, write the manifest.

A folder in the making holds `.unfinished/`: a manifest without files as its plan, and a record for
each part that is done. When the last part is done the manifest of the whole replaces it.
"""

import json
import re
import shutil
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

from filelock import FileLock, Timeout

from pipeline.executors import Crew, Pool, open_pool
from pipeline.interrupt import interrupt_held_back
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, write_text
from shards.manifest import MANIFEST_NAME, FileRecord, Manifest, difference, read_manifest

UNFINISHED = ".unfinished"
MARK = "command-"
_TEMPORARY = re.compile(
    r"(part-\d{5,}(-\d+)?\.(parquet|arrow)|manifest\.json|tokenizer(_config)?\.json)"
    rf"(\.[0-9a-f]{{32}})?{re.escape(TEMPORARY_SUFFIX)}"
)
"""What a stage calls its files before they are whole; a person's own may lie beside them."""


@dataclass(frozen=True)
class Part:
    """A finished part of a stage: its files, by path relative to the stage's folder, and counts."""

    files: dict[str, FileRecord] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a stage answers: the manifest of its folder, and whether it stood there already."""

    manifest: Manifest
    was_finished: bool


class PartTask(Protocol):
    """A piece of work that can be sent to another process and done twice without harm."""

    @property
    def name(self) -> str:
        """Name the part, uniquely within its stage."""


AnyTask = TypeVar("AnyTask", bound=PartTask)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the lock on a stage's folder: two commands at once would write over each other.

    Raises:
        DataError: Another command holds it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.parent / f".{folder.name}.lock", timeout=0):
            yield
    except Timeout as error:
        problem = f"another command is writing {folder}"
        raise DataError(problem, "wait for it to end, or stop it") from error


def check_is_own(out: Path, names: Collection[str] = ()) -> None:
    """Refuse a folder that holds something else: a stage writes over what is in its folder.

    Args:
        out: The stage's folder.
        names: What the stage may have left there without a manifest or record of its parts.

    Raises:
        DataError: It is a file, or a folder with other files.
    """
    remedy = "choose an empty folder with --out, or one that is not there yet"
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is not a folder", remedy)
    marks = (MANIFEST_NAME, UNFINISHED)
    if not out.exists() or any((out / mark).exists() for mark in marks):
        return
    found = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    if others := sorted({*found} - {*names}):
        raise DataError(f"{out} holds other files, such as {others[0]}", remedy)


def finished(
    out: Path, stage: str, config: Mapping[str, Any], inputs: Mapping[str, str] | None
) -> Manifest | None:
    """Return the manifest of `out` if it holds this very result, None if work is to be done.

    Args:
        out: The stage's folder.
        stage: The command.
        config: The resolved configuration.
        inputs: Hashes of the inputs; None where the configuration alone decides.

    Raises:
        DataError: The folder was made by another stage, configuration or input.
    """
    manifest = read_manifest(out)
    if manifest is None:
        return None
    expected = manifest.inputs if inputs is None else dict(inputs)
    plan = Manifest(stage=stage, config=dict(config), inputs=expected, files={})
    _check_same_plan(out, manifest, plan)
    if manifest.damaged(out):
        return None
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)  # a kill may have come just before
    return manifest


def _check_same_plan(out: Path, old: Manifest, new: Manifest) -> None:
    remedy = f"choose another folder, or delete {out} to make it anew"
    if old.stage != new.stage:
        raise DataError(f"{out} was made by `{old.stage}`, not `{new.stage}`", remedy)
    if found := difference(old.config, new.config):
        raise DataError(f"{out} was made with {found}", remedy)
    if found := _other_input(old.inputs, new.inputs):
        raise DataError(f"{out} was made {found}", remedy)


def _other_input(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """Return a phrase naming the first input that differs; their hashes tell a person nothing."""
    for name in sorted({*old, *new}):
        if name not in new:
            return f"from {name} too, which is not there now"
        if name not in old:
            return f"without {name}, which is there now"
        if old[name] != new[name]:
            return f"from another {name} than the present one"
    return None


def run_parts(
    out: Path,
    plan: Manifest,
    tasks: Iterable[AnyTask | None],
    function: Callable[[AnyTask], Part],
    crew: Crew,
) -> Generator[tuple[AnyTask, Part], None, None]:
    """Do all tasks, keeping those that an interrupted run finished; yield them in task order.

    Args:
        out: The stage's folder.
        plan: A manifest without files: stage, configuration and inputs.
        tasks: Pieces of work, drawn as needed; each must write files of its own only. At a None
            all tasks before it are yielded before the next one is drawn.
        function: A module-level function that does one task.
        crew: Who does them.
    """
    _remove_temporaries(out)
    journal = _Journal(out, plan)
    if crew == Crew(1):
        with journal.open():
            for task in tasks:
                if task is not None:
                    yield task, journal.find(task) or journal.keep(task, function(task))
        return
    with open_pool(crew, journal.mark, plan.versions, function) as pool, journal.open():
        pending: deque[_Pending[AnyTask]] = deque()
        for task in tasks:
            if task is not None:
                part = journal.find(task)
                future = None if part else pool.submit(task)
                pending.append(_Pending(task, part, future))
            while len(pending) >= pool.window() or (task is None and pending):
                yield _take_first(pending, journal, pool)
        while pending:
            yield _take_first(pending, journal, pool)


def finish(out: Path, manifest: Manifest) -> None:
    """Write the manifest and forget the parts it is made of."""
    _remove_temporaries(out)
    manifest.write(out)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def _remove_temporaries(out: Path) -> None:
    """Remove what killed workers left half-written, each under a name of its own."""
    for path in out.rglob(f"*{TEMPORARY_SUFFIX}"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def forget_if_empty(out: Path) -> None:
    """Leave nothing behind of a stage that failed before its first part was done."""
    journal = out / UNFINISHED
    if journal.is_dir() and not list(journal.glob("part-*.json")):
        shutil.rmtree(journal)
        if not any(out.iterdir()):
            out.rmdir()


@dataclass
class _Pending(Generic[AnyTask]):
    """A task that was sent away, and its part once it is there."""

    task: AnyTask
    part: Part | None
    future: "Future[Part] | None"


def _take_first(
    pending: "deque[_Pending[AnyTask]]", journal: "_Journal", pool: Pool[AnyTask, Part]
) -> tuple[AnyTask, Part]:
    """Wait for the first of `pending`; whatever is done by then is written down.

    A task that fails does so when its turn comes, so that those before it are kept.
    """
    first = pending[0]
    while first.part is None:
        with interrupt_held_back():
            for one in pending:
                future = one.future
                if future and future.done() and (one is first or not future.exception()):
                    one.part, one.future = journal.keep(one.task, future.result()), None
        if first.part is None:
            pool.wait_for_one()
    pending.popleft()
    return first.task, first.part


class _Journal:
    """The parts of an unfinished stage, on disk.

    Raises:
        DataError: The folder holds those of another plan.
    """

    def __init__(self, out: Path, plan: Manifest) -> None:
        self.out, self.plan = out, plan
        self.folder = out / UNFINISHED
        self.mark = self.folder / f"{MARK}{uuid4().hex}"
        self.old = read_manifest(self.folder)
        if self.old is not None:
            _check_same_plan(out, self.old, plan)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Write down the plan; for as long as this command lasts its mark stands, and no other."""
        if self.old is None or self.old.versions != self.plan.versions:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.plan.write(self.folder)
        for mark in self.folder.glob(f"{MARK}*"):
            mark.unlink()
        self.mark.touch()
        try:
            yield
        finally:
            self.mark.unlink(missing_ok=True)

    def find(self, task: PartTask) -> Part | None:
        """Return a part whose record can be read and whose files stand, else None."""
        try:
            record = json.loads((self.folder / f"{task.name}.json").read_text(encoding="utf-8"))
            files = {name: FileRecord(**file) for name, file in record["files"].items()}
            part = Part(files, record["counts"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        stands = all(file.stands(self.out / name) for name, file in files.items())
        return part if stands else None

    def keep(self, task: PartTask, part: Part) -> Part:
        """Write down that a part is done, and return it."""
        write_text(self.folder / f"{task.name}.json", json.dumps(asdict(part)))
        return part
