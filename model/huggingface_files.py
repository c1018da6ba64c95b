"""The files of a model folder of `transformers`: JSON and tensors, whole or refused."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
PICKLED = "pytorch_model.bin"
INDEX = ".index.json"
# One entry per file: safetensors writes several in random order, and bytes should repeat.
TORCH = {"format": "pt"}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object, its keys sorted."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file.

    Raises:
        ValueError: It holds no object.
        FileNotFoundError: There is no file.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not an object")
    return content


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors by name, each on its own."""
    on_cpu = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    # safetensors' own writer reports a full disk as an error of its own kind.
    path.write_bytes(to_bytes(on_cpu, metadata=metadata))


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold a folder's weights: one, or those that an index names.

    Raises:
        ValueError: There are none, or the index or a file that it names is broken or missing.
    """
    for name in (WEIGHTS, PICKLED):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}{INDEX}"
        if not index.is_file():
            continue
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise ValueError(f"{index} has no weight_map")
        parts = sorted({str(place) for place in places.values()})
        for part in parts:
            if Path(part).name != part or not (folder / part).is_file():
                raise ValueError(f"{folder} has no {part}, which {index.name} names")
        return [folder / part for part in parts]
    raise ValueError(f"{folder} has neither {WEIGHTS} nor {PICKLED}")


def load_tensors(paths: list[Path]) -> dict[str, Tensor]:
    """Return all tensors of the files, on the CPU; no code in them is run.

    Raises:
        ValueError: A file is broken, or holds something else than tensors.
    """
    found: dict[str, Tensor] = {}
    for path in paths:
        found |= _load_pickled(path) if path.suffix == ".bin" else _load_safetensors(path)
    return found


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error})") from error
    return tensors


def _load_pickled(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is no whole file of tensors alone ({reason})") from error
    if not isinstance(content, dict) or not all(
        isinstance(tensor, Tensor) for tensor in content.values()
    ):
        raise ValueError(f"{path} holds something else than tensors by name")
    return content


def fill_tensors(targets: Mapping[str, Tensor], found: Mapping[str, Tensor], where: Path) -> None:
    """Copy the tensors in `found` into those of the same name; there must be all, and no others.

    Raises:
        ValueError: Names or shapes differ; the message tells which.
    """
    wrong = {
        "missing": targets.keys() - found.keys(),
        "unknown": found.keys() - targets.keys(),
        "of another shape": {
            f"{name} {tuple(found[name].shape)} instead of {tuple(targets[name].shape)}"
            for name in targets.keys() & found.keys()
            if found[name].shape != targets[name].shape
        },
    }
    if any(wrong.values()):
        listed = "; ".join(f"{what}: {_some(names)}" for what, names in wrong.items() if names)
        raise ValueError(f"the weights in {where} do not fit its configuration: {listed}")
    for name, target in targets.items():
        target.copy_(found[name])


def _some(names: set[str]) -> str:
    """Return the first names, and how many more there are."""
    first = ", ".join(sorted(names)[:4])
    return f"{first} and {len(names) - 4} more" if len(names) > 4 else first
