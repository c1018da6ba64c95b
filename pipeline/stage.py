"""What every stage does alike: recognise finished work, keep finished parts, write the manifest.

A folder in the making holds `.unfinished/`: a manifest without files as its plan, and a record for
each part that is done. When the last part is done the manifest of the whole replaces it.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from pipeline.workers import WINDOW_PER_WORKER, process_pool, unordered
from shards.errors import DataError
from shards.files import write_text
from shards.manifest import FileRecord, Manifest, difference, read_manifest

UNFINISHED = ".unfinished"


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


def finished(
    out: Path, stage: str, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> Manifest | None:
    """Return the manifest of `out` if it holds this very result, None if work is to be done.

    Raises:
        DataError: The folder was made by another stage, configuration or input.
    """
    manifest = read_manifest(out)
    if manifest is None:
        return None
    plan = Manifest(stage=stage, config=dict(config), inputs=dict(inputs), files={})
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
    if found := difference(old.inputs, new.inputs):
        raise DataError(f"{out} was made from other input: {found}", remedy)


def run_parts(
    out: Path,
    plan: Manifest,
    tasks: Sequence[PartTask],
    function: Callable[[Any], Part],
    workers: int,
) -> list[Part]:
    """Do all tasks, keeping those that an interrupted run finished; return parts in task order.

    Args:
        out: The stage's folder.
        plan: A manifest without files: stage, configuration and inputs.
        tasks: Pieces of work; each must write files of its own only.
        function: A module-level function that does one task.
        workers: Processes; 1 works in this one.
    """
    done = _resume(out, plan, tasks)
    todo = [task for task in tasks if task.name not in done]
    with tqdm(
        total=len(tasks), initial=len(done), desc=plan.stage, unit="part", disable=None
    ) as progress:

        def keep(task: PartTask, part: Part) -> None:
            write_text(out / UNFINISHED / f"{task.name}.json", json.dumps(asdict(part)))
            done[task.name] = part
            progress.update()

        if workers == 1 or len(todo) < 2:
            for task in todo:
                keep(task, function(task))
        else:
            with process_pool(workers) as executor:
                window = workers * WINDOW_PER_WORKER
                for task, part in unordered(executor, function, todo, window):
                    keep(task, part)
    return [done[task.name] for task in tasks]


def finish(out: Path, manifest: Manifest) -> None:
    """Write the manifest and forget the parts it is made of."""
    manifest.write(out)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def _resume(out: Path, plan: Manifest, tasks: Sequence[PartTask]) -> dict[str, Part]:
    """Return the parts that stand, after checking that they belong to the same plan."""
    folder = out / UNFINISHED
    old = read_manifest(folder)
    if old is not None:
        _check_same_plan(out, old, plan)
    if old is None or old.versions != plan.versions:
        shutil.rmtree(folder, ignore_errors=True)
        plan.write(folder)
        return {}
    found = {task.name: _read_part(folder / f"{task.name}.json", out) for task in tasks}
    return {name: part for name, part in found.items() if part is not None}


def _read_part(path: Path, out: Path) -> Part | None:
    """Return a part whose record can be read and whose files stand, else None."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        files = {name: FileRecord(**file) for name, file in record["files"].items()}
        part = Part(files, record["counts"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return part if all(file.stands(out / name) for name, file in files.items()) else None
