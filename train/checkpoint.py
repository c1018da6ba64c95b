"""Checkpoints: all that the training loop changes, written whole or not at all.

`step-NNNNNNN/` holds model.safetensors, optimizer.pt, state.json and a manifest with their hashes.
A folder is made under another name and renamed, so what bears the name is complete. An empty file
KEPT in it marks one that is kept for good.
"""

import io
import json
import re
import shlex
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, hash_file, sync, write_atomically, write_text
from shards.manifest import Manifest, read_manifest, record_file

MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.pt", "state.json"
KEPT = "KEPT"
"""The file that marks a checkpoint which is never deleted, whatever a later resume asks for."""


@dataclass(frozen=True)
class State:
    """The loop's own numbers.

    Attributes:
        step: Updates done.
        seconds: How long they took, evaluations and all.
        tokens: Real tokens that they read.
        begun: First steps of the stages begun so far, where the clock decides; else empty.
        skipped: How many of the last updates in a row the loss scaler has skipped.
        skipped_updates: How many it has skipped in all.
        processes: How many did the last update; threads are set again for as many alone.
    """

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    begun: tuple[int, ...] = ()
    skipped: int = 0
    skipped_updates: int = 0
    processes: int = 1


class Snapshot(NamedTuple):
    """All that the loop changes, as it is at one moment, in host memory.

    Attributes:
        weights: By the name in the model; what has several has its first.
        optimizer: The optimizer's state.
        scaler: The loss scaler's; empty where none is used.
        state: The loop's own numbers.
        threads: Of torch's operators: sums depend on their number.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    state: State
    threads: int


def take_snapshot(
    model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, state: State
) -> Snapshot:
    """Copy all that the loop changes to host memory."""
    return Snapshot(
        weights=_copy(model_tensors(model)),
        optimizer=_copy(optimizer.state_dict()),
        scaler=scaler.state_dict(),
        state=state,
        threads=torch.get_num_threads(),
    )


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers that are kept, each once, under its first name."""
    kept = model.state_dict().keys()
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    return tensors | {name: one for name, one in model.named_buffers() if name in kept}


def _copy(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy(one) for one in value)
    return value


def write_checkpoint(checkpoints: Path, snapshot: Snapshot, *, is_kept: bool = False) -> Path:
    """Write a checkpoint; return its folder.

    Args:
        checkpoints: The folder of all.
        snapshot: What is written.
        is_kept: For good, as one of the same step is that it takes the place of.
    """
    final = checkpoints / f"step-{snapshot.state.step:07d}"
    folder = final.with_name(final.name + TEMPORARY_SUFFIX)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Both are turned into bytes first: their own writers do not report a full disk as OSError.
    with write_atomically(folder / MODEL) as file:
        file.write(to_bytes(snapshot.weights))
    optimizer = io.BytesIO()
    torch.save(snapshot.optimizer, optimizer)
    with write_atomically(folder / OPTIMIZER) as file:
        file.write(optimizer.getbuffer())
    state = {"scaler": snapshot.scaler, "threads": snapshot.threads, **asdict(snapshot.state)}
    write_text(folder / STATE, json.dumps(state))
    files = {name: record_file(folder / name) for name in (MODEL, OPTIMIZER, STATE)}
    Manifest(stage="checkpoint", config={}, inputs={}, files=files).write(folder)
    if is_kept or (final / KEPT).exists():
        (folder / KEPT).touch()
        sync(folder)
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    sync(checkpoints)
    return final


def delete_partial(checkpoints: Path) -> None:
    """Delete what a write has left that was cut off; nothing may be written meanwhile."""
    for folder in checkpoints.glob(f"step-*{TEMPORARY_SUFFIX}"):
        shutil.rmtree(folder)


def delete_old(checkpoints: Path, step: int, keep: int, busy: Collection[Path] = ()) -> None:
    """Delete all checkpoints but the newest `keep` up to `step`, and those kept for good.

    Those beyond `step` are damaged, or the run would have gone on from them; one of them that is
    kept for good stays until the run writes that step again. Those that are `busy`, for a command
    reads them or will, stay for now.
    """
    folders = _folders(checkpoints)
    beyond = [folder for folder in folders if step_of(folder) > step]
    for folder in [*beyond, *folders[len(beyond) + keep :]]:
        if not (folder / KEPT).exists() and folder not in busy:
            shutil.rmtree(folder)


def step_of(folder: Path) -> int:
    """Return the updates that a checkpoint's folder is named after."""
    return int(folder.name.removeprefix("step-"))


def _folders(checkpoints: Path) -> list[Path]:
    """Return the folders of whole checkpoints, newest first."""
    found = [path for path in checkpoints.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=step_of, reverse=True)


def whole_checkpoints(
    checkpoints: Path, say: Callable[[str], None] = lambda line: None
) -> Iterator[Path]:
    """Yield the checkpoints whose every byte is what was written, newest first; name the others."""
    for folder in _folders(checkpoints):
        problem = _damage(folder)
        if problem is None:
            yield folder
        else:
            say(f"passing over {folder}, which is damaged: {problem}")


def _damage(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint, if anything is."""
    try:
        manifest = read_manifest(folder)
    except DataError as error:
        return error.problem
    if manifest is None:
        return "it has no manifest"
    for name, record in manifest.files.items():
        path = folder / name
        if not path.is_file() or hash_file(path) != record.blake3:
            return f"{name} is not what was written"
    return None


def newest_checkpoint(checkpoints: Path) -> Path:
    """Return the newest whole checkpoint.

    Raises:
        DataError: There is none.
    """
    for folder in whole_checkpoints(checkpoints):
        return folder
    command = f"python cli.py pretrain --resume --out {shlex.quote(str(checkpoints.parent))}"
    remedy = f"wait for the first one if the run trains now, or train on with `{command}`"
    raise DataError(f"no whole checkpoint at {checkpoints}", remedy)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Load a checkpoint's weights into `model`, wherever that is.

    Raises:
        DataError: They are of another shape.
    """
    path = folder / MODEL
    weights = load_file(path)  # on the CPU: a second copy there costs no device memory
    tensors = model_tensors(model)
    for name in sorted({*weights, *tensors}):
        found = tuple(weights[name].shape) if name in weights else None
        wanted = tuple(tensors[name].shape) if name in tensors else None
        if found != wanted:
            problem = f"{path} does not fit the run's model: {name} is {found}, not {wanted}"
            remedy = "put the run's own checkpoint back, or start another run"
            raise DataError(problem, remedy)
    with torch.no_grad():
        for name, value in tensors.items():
            value.copy_(weights.pop(name))


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> State:
    """Load all of a checkpoint, and set torch's threads; return the loop's state.

    Raises:
        DataError: It is of another shape.
    """
    load_weights(folder, model)
    optimizer.load_state_dict(torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True))
    content = json.loads((folder / STATE).read_text(encoding="utf-8"))
    if found := content.pop("scaler"):
        scaler.load_state_dict(found)
    torch.set_num_threads(content.pop("threads"))
    return State(**(content | {"begun": tuple(content["begun"])}))
