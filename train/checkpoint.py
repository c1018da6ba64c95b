"""Checkpoints: all that the training loop changes, written whole or not at all.

`step-NNNNNNN/` holds model.safetensors, optimizer.pt, state.json and a manifest with their hashes.
A folder is made under another name and renamed, so what bears the name is complete.
"""

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes

from model.electra import Electra
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, hash_file, sync, write_atomically, write_text
from shards.manifest import Manifest, read_manifest, record_file

KEEP = 2
"""Checkpoints kept; the one before the last serves if the last is damaged."""
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.pt", "state.json"


@dataclass(frozen=True)
class State:
    """The loop's own numbers: updates done, and seconds they took in all."""

    step: int
    seconds: float


def save_checkpoint(
    checkpoints: Path, model: Electra, optimizer: torch.optim.Optimizer, state: State
) -> Path:
    """Write a checkpoint and delete those that are no longer needed; return its folder."""
    final = checkpoints / f"step-{state.step:07d}"
    folder = final.with_name(final.name + TEMPORARY_SUFFIX)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Both are turned into bytes first: their own writers do not report a full disk as OSError.
    optimizer_state = io.BytesIO()
    torch.save(optimizer.state_dict(), optimizer_state)
    weights = {name: value.detach().contiguous() for name, value in model.named_parameters()}
    for name, content in ((MODEL, to_bytes(weights)), (OPTIMIZER, optimizer_state.getbuffer())):
        with write_atomically(folder / name) as file:
            file.write(content)
    write_text(folder / STATE, json.dumps(vars(state)))
    files = {name: record_file(folder / name) for name in (MODEL, OPTIMIZER, STATE)}
    Manifest(stage="checkpoint", config={}, inputs={}, files=files).write(folder)
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    sync(checkpoints)
    _delete_old(checkpoints, state.step)
    return final


def _delete_old(checkpoints: Path, step: int) -> None:
    """Keep the newest KEEP checkpoints up to `step`.

    Those beyond it are damaged, or the run would have gone on from them.
    """
    folders = _folders(checkpoints)
    beyond = [folder for folder in folders if step_of(folder) > step]
    for folder in [*beyond, *folders[len(beyond) + KEEP :]]:
        shutil.rmtree(folder)


def step_of(folder: Path) -> int:
    """Return the updates that a checkpoint's folder is named after."""
    return int(folder.name.removeprefix("step-"))


def _folders(checkpoints: Path) -> list[Path]:
    """Return the folders of whole checkpoints, newest first."""
    found = [path for path in checkpoints.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=step_of, reverse=True)


def whole_checkpoints(checkpoints: Path) -> Iterator[Path]:
    """Yield the checkpoints whose every byte is what was written, newest first."""
    for folder in _folders(checkpoints):
        try:
            manifest = read_manifest(folder)
        except DataError:
            continue
        if manifest and all(
            (folder / name).is_file() and hash_file(folder / name) == record.blake3
            for name, record in manifest.files.items()
        ):
            yield folder


def newest_checkpoint(checkpoints: Path) -> Path:
    """Return the newest whole checkpoint.

    Raises:
        DataError: There is none.
    """
    for folder in whole_checkpoints(checkpoints):
        return folder
    remedy = "train on with `python cli.py pretrain --resume`, which writes one"
    raise DataError(f"no whole checkpoint at {checkpoints}", remedy)


def load_weights(folder: Path, model: Electra) -> None:
    """Load a checkpoint's weights into `model`.

    Raises:
        DataError: They are of another shape.
    """
    path = folder / MODEL
    weights = load_file(path)
    parameters = dict(model.named_parameters())  # each once, shared ones under their first name
    for name in sorted({*weights, *parameters}):
        found = tuple(weights[name].shape) if name in weights else None
        wanted = tuple(parameters[name].shape) if name in parameters else None
        if found != wanted:
            problem = f"{path} does not fit the run's model: {name} is {found}, not {wanted}"
            remedy = "put the run's own checkpoint back, or start another run"
            raise DataError(problem, remedy)
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(weights[name])


def load_checkpoint(folder: Path, model: Electra, optimizer: torch.optim.Optimizer) -> State:
    """Load all of a checkpoint; return the loop's state.

    Raises:
        DataError: It is of another shape.
    """
    load_weights(folder, model)
    optimizer.load_state_dict(torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True))
    return State(**json.loads((folder / STATE).read_text(encoding="utf-8")))
