"""GLUE's tasks from its zips or folders of them, and from MRPC's two original files.

MRPC has no zip: its train and dev files are made here from msr_paraphrase_train.txt and the pairs
of ids in mrpc_dev_ids.tsv, as GLUE's own download script does
(https://github.com/nyu-mll/GLUE-baselines, download_glue_data.py).
"""

import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.inputs import STAMPS, hash_inputs, stamp_inputs
from pipeline.readers.archives import AGAIN, open_zip, open_zipped, zip_members
from pipeline.sources import GLUE
from pipeline.stage import UNFINISHED, Outcome, finish, finished
from pipeline.tasks import TASKS, Examples, Task, read_examples
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, write_atomically
from shards.manifest import MANIFEST_NAME, FileRecord, Manifest, read_manifest, record_file

LARGEST_FILE = 1 << 30
"""Bytes of a TSV file; the largest real one (MNLI's train.tsv) has under 80 MB."""
ZIP_NAMES = {"qqp": ("QQP-clean.zip", "QQP.zip"), "qnli": ("QNLIv2.zip", "QNLI.zip")}
"""Zips that are not called like their folder (the first is the official name)."""
MRPC_TRAIN = "msr_paraphrase_train.txt"
MRPC_TEST = "msr_paraphrase_test.txt"
MRPC_DEV_IDS = "mrpc_dev_ids.tsv"


@dataclass(frozen=True)
class Found:
    """Where one task was found.

    Attributes:
        task: The task.
        inputs: The files that it is made from, by name.
        write: Writes the splits into the output folder and returns their names.
    """

    task: Task
    inputs: Mapping[str, Path]
    write: Callable[["Found", Path], set[str]]


def unpack_glue(source_path: Path, out: Path) -> Outcome:
    """Write `out/TASK/{train,dev,test}.tsv` for every task found under `source_path`.

    The folder is searched whole. Where a task is there more than once, its zip is taken before a
    folder of TSV files, and the least deep first; the manifest's inputs tell which it was.

    Raises:
        DataError: Nothing is found, a zip is damaged, or a file is not what GLUE published.
    """
    found, absent = _search(source_path, out)
    files = {f"{one.task.name}/{name}": path for one in found for name, path in one.inputs.items()}
    stamps = stamp_inputs(files)
    plan = Manifest(
        stage="glue",
        config={"tasks": [one.task.name for one in found]},
        inputs=hash_inputs(files, stamps, read_manifest(out)),
        files={},
        counts={STAMPS: stamps, "absent": absent},
    )
    manifest = finished(out, plan.stage, plan.config, plan.inputs)
    if manifest is not None:
        return Outcome(manifest, was_finished=True)
    _begin(out, plan)
    manifest = _unpack(found, out, plan)
    finish(out, manifest)
    return Outcome(manifest, was_finished=False)


def _begin(out: Path, plan: Manifest) -> None:
    """Mark `out` as unfinished; remove what an unfinished or damaged unpacking left there.

    Files of GLUE's names that no unpacking of ours left stay where they are.
    """
    was_begun = (out / UNFINISHED).is_dir() or (out / MANIFEST_NAME).is_file()
    plan.write(out / UNFINISHED)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    for task in TASKS.values() if was_begun else ():
        for split in task.rows:
            path = task.path(out, split)
            path.unlink(missing_ok=True)
            path.with_name(path.name + TEMPORARY_SUFFIX).unlink(missing_ok=True)


def _unpack(found: Sequence[Found], out: Path, plan: Manifest) -> Manifest:
    """Write all tasks, read each file again, and return the manifest of what was written."""
    files: dict[str, FileRecord] = {}
    counts: dict[str, Any] = {}
    for one in found:
        splits = one.write(one, out)
        counts[one.task.name] = {}
        for split in one.task.rows:
            if split in splits:
                examples = read_examples(one.task, out, split)
                path = one.task.path(out, split)
                files[path.relative_to(out).as_posix()] = record_file(path, len(examples))
                counts[one.task.name][split] = _count(examples, one.task.rows[split])
    return replace(plan, files=files, counts=plan.counts | {"tasks": counts})


def _count(examples: Examples, official: int | None) -> dict[str, Any]:
    return {
        "rows": len(examples),
        "official": official,
        "partial": examples.is_partial(official),
        "skipped": examples.skipped,
    }


def _search(source: Path, out: Path) -> tuple[list[Found], dict[str, str]]:
    """Return the tasks found under `source`, and for each other one why it is absent."""
    if not source.exists():
        raise DataError(f"no folder {source}", "name the folder that holds GLUE's zips in --from")
    paths = [source] if source.is_file() else sorted(source.rglob("*"))
    own = out.resolve()
    inside = [path for path in paths if path.is_file() and not path.resolve().is_relative_to(own)]
    inside.sort(key=lambda path: len(path.parts))
    found, absent = [], {}
    for task in TASKS.values():
        one = _find_mrpc(task, inside) if task.name == "mrpc" else None
        one = one or _find_ax(task, inside) or _find_zip(task, inside) or _find_folder(task, inside)
        if one is None:
            absent[task.name] = _reason(task)
        else:
            found.append(one)
    if not found:
        names = ", ".join(_zip_names(task)[0] for task in TASKS.values() if task.dev_splits)
        problem = f"no GLUE task is under {source}"
        raise DataError(problem, f"put {names} or their folders there, from {GLUE}")
    return found, absent


def _zip_names(task: Task) -> tuple[str, ...]:
    return ZIP_NAMES.get(task.name, (f"{task.folder}.zip",))


def _reason(task: Task) -> str:
    if task.name == "mrpc":
        return f"needs {MRPC_TRAIN}, {MRPC_TEST} and {MRPC_DEV_IDS}, or a folder MRPC"
    if task.name == "ax":
        return "no AX.tsv"
    return f"no {_zip_names(task)[0]} and no folder {task.folder} with a train.tsv"


def _first_named(paths: list[Path], name: str) -> Path | None:
    return next((path for path in paths if path.name == name), None)


def _find_mrpc(task: Task, paths: list[Path]) -> Found | None:
    inputs = {name: _first_named(paths, name) for name in (MRPC_TRAIN, MRPC_TEST, MRPC_DEV_IDS)}
    present = {name: path for name, path in inputs.items() if path is not None}
    return Found(task, present, _write_mrpc) if len(present) == len(inputs) else None


def _find_ax(task: Task, paths: list[Path]) -> Found | None:
    path = _first_named(paths, "AX.tsv") if task.name == "ax" else None
    return None if path is None else Found(task, {"test.tsv": path}, _copy_files)


def _find_zip(task: Task, paths: list[Path]) -> Found | None:
    path = next((path for path in paths if path.name in _zip_names(task)), None)
    return None if path is None else Found(task, {path.name: path}, _extract)


def _find_folder(task: Task, paths: list[Path]) -> Found | None:
    """Find the folder that is called like the task and holds its first file."""
    for path in paths:
        if path.name == f"{next(iter(task.rows))}.tsv" and path.parent.name == task.folder:
            files = {f"{split}.tsv": path.with_name(f"{split}.tsv") for split in task.rows}
            inputs = {name: file for name, file in files.items() if file.is_file()}
            for split in task.dev_splits:
                if f"{split}.tsv" not in inputs:
                    problem = f"{path.parent} has no {split}.tsv"
                    raise DataError(problem, f"unpack {_zip_names(task)[0]} there again")
            return Found(task, inputs, _copy_files)
    return None


def _copy_files(found: Found, out: Path) -> set[str]:
    for name, source in found.inputs.items():
        with source.open("rb") as file, write_atomically(out / found.task.folder / name) as copy:
            shutil.copyfileobj(file, copy)
    return {name.removesuffix(".tsv") for name in found.inputs}


def _extract(found: Found, out: Path) -> set[str]:
    """Take the wanted members out of a zip; where they go never depends on a member's name."""
    (path,) = found.inputs.values()
    task = found.task
    splits = set()
    with open_zip(path) as archive:
        members = {member.filename for member in zip_members(archive, str(path))}
        for split in task.rows:
            member = f"{task.folder}/{split}.tsv"
            if member in members:
                with write_atomically(task.path(out, split)) as copy:
                    _copy_member(archive, member, str(path), copy)
                splits.add(split)
            elif not split.startswith("test"):
                problem = f"{path} has no member {member}"
                raise DataError(problem, f"replace it by the one of {GLUE}")
    return splits


def _copy_member(archive: zipfile.ZipFile, name: str, where: str, copy: BinaryIO) -> None:
    size = 0
    with open_zipped(archive, name, where) as file:
        while block := file.read(1 << 20):
            size += len(block)
            if size > LARGEST_FILE:
                raise DataError(f"{where}: {name} unpacks to more than {LARGEST_FILE} bytes", AGAIN)
            copy.write(block)


def _write_mrpc(found: Found, out: Path) -> set[str]:
    """Divide MRPC's original training rows by the list of dev ids; the test file stays whole."""
    train, test, dev_ids = (found.inputs[name] for name in (MRPC_TRAIN, MRPC_TEST, MRPC_DEV_IDS))
    ids = {tuple(line.split()) for line in dev_ids.read_bytes().splitlines()}
    task = found.task
    with (
        train.open("rb") as file,
        write_atomically(task.path(out, "train")) as train_copy,
        write_atomically(task.path(out, "dev")) as dev_copy,
    ):
        header = file.readline()
        train_copy.write(header)
        dev_copy.write(header)
        for line in file:
            copy: BinaryIO = dev_copy if tuple(line.split(b"\t")[1:3]) in ids else train_copy
            copy.write(line)
    with test.open("rb") as file, write_atomically(task.path(out, "test")) as test_copy:
        shutil.copyfileobj(file, test_copy)
    return {"train", "dev", "test"}
