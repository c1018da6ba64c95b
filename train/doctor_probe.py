"""Looks at packages and at the device in a process of its own, which a broken package may end.

Each finding is a line of JSON behind MARK, so that what packages print while they are imported is
told apart; a line that says what is tried next comes before each.
"""

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

MARK = "hearth found "


def probe(names: Sequence[str]) -> None:
    """Import modules, and take the other steps of STEPS, one after another; tell how each went."""
    for name in names:
        _say(trying=name)
        try:
            facts = STEPS[name]() if name in STEPS else import_module(name) and None
            error = None
        except Exception as caught:  # whatever a broken package raises
            facts, error = None, _in_words(caught)
        _say(name=name, facts=facts, error=error)


def _say(**finding: Any) -> None:  # noqa: ANN401
    sys.stdout.write(f"\n{MARK}{json.dumps(finding)}\n")
    sys.stdout.flush()


def _in_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _device() -> dict[str, Any]:
    """Return what `--device auto` and `--precision auto` come to."""
    import torch

    from shards.errors import DataError
    from train.available import available_memory
    from train.device import choose_device
    from train.precision import choose_precision

    facts: dict[str, Any] = {"cuda_build": torch.version.cuda, "threads": torch.get_num_threads()}
    try:
        device = choose_device("auto")
    except DataError as error:
        return facts | {"problem": error.problem, "remedy": error.remedy}
    facts |= {"type": device.type, "name": None, "memory": None}
    if device.type == "cuda":
        memory = available_memory(device)
        facts["name"] = torch.cuda.get_device_name(device)
        facts["memory"] = None if memory is None else memory._asdict()
    precision = choose_precision("auto", device)
    return facts | {"precision": precision.name, "reason": precision.reason}


def _compiled() -> dict[str, Any]:
    """Return what numba keeps of the compiled functions, as the sources are now."""
    from pipeline.compiled import FOLDER

    sizes = [path.stat().st_size for path in FOLDER.rglob("*.nb?")]
    functions = sum(1 for _ in FOLDER.rglob("*.nbi"))
    return {"folder": str(FOLDER), "functions": functions, "bytes": sum(sizes)}


DEVICE, COMPILED = "the device", "compiled code"
STEPS: dict[str, Callable[[], dict[str, Any]]] = {DEVICE: _device, COMPILED: _compiled}
"""What is looked at besides modules."""
