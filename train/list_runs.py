"""The runs of a folder, each in a few numbers; only the end of its metrics is read.

What is no run, or a damaged one, is named and stops nothing.
"""

import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

from shards.errors import DataError
from train.lock import is_locked
from train.metrics import Line, flatten
from train.metrics_tail import Tail, read_tail
from train.runs import IMPORT_FILE, RUN_FILE, Run, load_run, read_import

State = Literal["training", "finished", "stopped", "no checkpoint", "imported"]
LOSSES = ("masked_language_model_loss", "causal_language_model_loss")
"""Of the objectives; what a run has of them is told. A pair's total is mostly a weight of 50."""
AVERAGED = 50
"""Steps over which loss and speed are averaged, as in `report`."""
HEADER_BYTES = 1 << 26
"""No header of a file of weights is longer; the format's own limit is 100 MB."""
OWN_NETWORKS = "own networks"
"""The preset of a run whose networks were given from Python: `pretrain` cannot resume it."""


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """A run in a few numbers; None: there is no such number, or not yet.

    Attributes:
        folder: Where it is.
        preset: Its preset; of an import, what classes it has.
        state: "stopped" has a checkpoint to go on from.
        step: Updates done by the newest checkpoint, or while it trains by the last line of metrics.
        steps: Updates of the whole run; None: the clock decides, or it was imported.
        hours: How long it may train, where the clock decides.
        seconds: How long it has trained.
        loss: Of masked or of next tokens in nats, mean of the last steps.
        held_out_loss: The same on held-out rows, when they were scored last.
        tokens_per_second: Mean of the last steps.
        glue: Mean of the eight tasks of GLUE, as a fraction.
        glue_tasks: Tasks with a result.
        parameters: Weights, those of both networks of a pair; what they share counts once.
        bytes: On disk.
        changed: When a file of it changed last, in seconds since 1970.
        problems: What could not be read.
    """

    folder: str
    preset: str
    state: State
    step: int | None = None
    steps: int | None = None
    hours: float | None = None
    seconds: float | None = None
    loss: float | None = None
    held_out_loss: float | None = None
    tokens_per_second: float | None = None
    glue: float | None = None
    glue_tasks: int = 0
    parameters: int | None = None
    bytes: int
    changed: float
    problems: tuple[str, ...] = ()


class Other(NamedTuple):
    """A folder that is no run, or that cannot be read, and why."""

    folder: str
    problem: str


def list_runs(folder: Path) -> tuple[list[ListedRun], list[Other]]:
    """Return the runs in `folder`, or the one that it is, newest first, and what is none.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        remedy = "begin a run with `python cli.py pretrain`, or name the folder that holds runs"
        raise DataError(f"no folder at {folder}", remedy)
    is_run = any((folder / name).is_file() for name in (RUN_FILE, IMPORT_FILE))
    folders = [folder] if is_run else [path for path in folder.iterdir() if path.is_dir()]
    runs: list[ListedRun] = []
    others: list[Other] = []
    for path in sorted(folders):
        try:
            runs.append(look_at(path))
        except DataError as error:
            others.append(Other(str(path), str(error)))
        except OSError as error:
            others.append(Other(str(path), f"{error.filename or path}: {error.strerror}"))
    return sorted(runs, key=lambda run: -run.changed), others


def look_at(folder: Path) -> ListedRun:
    """Return a run in a few numbers.

    Raises:
        DataError: It is no run, or cannot be read.
    """
    sizes = list(_files(folder))
    disk: dict[str, Any] = {
        "folder": str(folder),
        "bytes": sum(size for size, _ in sizes),
        "changed": max((changed for _, changed in sizes), default=folder.stat().st_mtime),
    }
    if imported := read_import(folder):
        preset = ", ".join(map(str, imported["classes"].values()))
        weights = _count_weights(folder / "hf" / "model.safetensors")
        own: dict[str, Any] = {"preset": preset, "state": "imported", "parameters": weights}
    elif not (folder / RUN_FILE).is_file():
        raise DataError(f"{folder} has no {RUN_FILE}", "it is no run")
    else:
        own = _numbers(load_run(folder))
    return ListedRun(**disk, **own, **_glue(folder))


def next_step(run: ListedRun, *, is_reported: bool = False) -> tuple[str, ...]:
    """Return a command that works on a run in its state.

    Args:
        run: The run.
        is_reported: Whether `report` was just run on it.
    """
    has_curves = run.loss is not None and not is_reported
    if run.state == "imported":
        return "glue", run.folder
    if run.state == "finished":
        return "report" if has_curves else "play", run.folder
    if run.state != "training" and run.preset != OWN_NETWORKS:
        return "pretrain", "--resume", "--out", run.folder
    return ("report", run.folder) if has_curves else ("runs", str(Path(run.folder).parent))


def _files(folder: Path) -> Iterator[tuple[int, float]]:
    """Yield size and time of each file; a run that trains may delete some meanwhile."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.lstat()
            if path.is_file():
                yield status.st_size, status.st_mtime


def _numbers(run: Run) -> dict[str, Any]:
    """Return what a run's own files tell."""
    tail, newest = _sound(read_tail(run.metrics, AVERAGED)), _newest(run.checkpoints)
    last = tail.lines[-1] if tail.lines else None
    state: State = "no checkpoint" if newest is None else "stopped"
    if is_locked(run.folder):
        state = "training"
    elif (run.export / "config.json").is_file():
        state = "finished"
    saved = None if newest is None else int(newest.name.removeprefix("step-"))
    step = last["step"] if last is not None and saved is None else saved
    if last is not None and state == "training":
        step = max(last["step"], saved or 0)
    return {
        "preset": run.config.preset if run.model is not None else OWN_NETWORKS,
        "state": state,
        "step": step,
        "steps": run.config.steps if run.config.hours is None else None,
        "hours": run.config.hours,
        "seconds": None if last is None else _real(last.get("seconds")),
        "parameters": None if newest is None else _count_weights(newest / "model.safetensors"),
        **_losses(tail),
    }


def _sound(tail: Tail) -> Tail:
    """Leave out lines with an integer that no float holds: damage, as in lines that are no JSON."""
    lines = [line for line in tail.lines if _is_sound(line)]
    return Tail(lines, tail.validation if _is_sound(tail.validation) else {})


def _is_sound(line: Line) -> bool:
    return all(abs(one) <= sys.float_info.max for _, one in flatten(line) if isinstance(one, int))


def _newest(checkpoints: Path) -> Path | None:
    """Return the newest checkpoint by its name; whether it is whole takes reading all of it."""
    found = [path for path in checkpoints.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)


def _losses(tail: Tail) -> dict[str, Any]:
    last = tail.lines[-1] if tail.lines else {}
    name = next((name for name in LOSSES if name in last or name in tail.validation), "loss")
    return {
        "loss": _mean(tail.lines, name),
        "held_out_loss": _real(tail.validation.get(name)),
        "tokens_per_second": _mean(tail.lines, "tokens_per_second"),
    }


def _mean(lines: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [one for line in lines if (one := _real(line.get(name))) is not None]
    with suppress(OverflowError):  # of numbers near the largest that there are
        return fmean(values) if values else None
    return None


def _real(value: Any) -> float | None:  # noqa: ANN401
    return value if isinstance(value, float | int) and math.isfinite(value) else None


def _count_weights(path: Path) -> int | None:
    """Return how many numbers a file of weights holds, by its header alone; None: it is damaged.

    The format is safetensors' (https://github.com/huggingface/safetensors): eight bytes of the
    header's length, least significant first, then the header as JSON.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(min(length, HEADER_BYTES)))
        shapes = [one["shape"] for name, one in header.items() if name != "__metadata__"]
        return sum(int(prod(shape)) for shape in shapes)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _glue(folder: Path) -> dict[str, Any]:
    """Return what fine-tuning found, as far as it was done."""
    from train.glue.results import RESULTS_FILE, read_results
    from train.glue.table import average, medians

    path = folder / "glue" / RESULTS_FILE
    if not path.is_file():
        return {}
    try:
        results = read_results(path)
    except DataError as error:
        return {"problems": (error.problem,)}
    done = sum(bool(task.pretrained) for task in results.tasks)
    return {"glue": average(medians(results, "pretrained")), "glue_tasks": done}
