"""What this machine and this installation have, and what they lack; itself it imports nothing."""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.about import Requirement, hearth_version, is_checkout, requirements
from pipeline.room import free_bytes, nearest
from train.available import host_memory, memory_limit
from train.doctor_probe import COMPILED, DEVICE, MARK

ROOT = Path(__file__).parents[1]
PROBE = "import sys; sys.path.insert(0, sys.argv[1]); from train.doctor_probe import probe; "
PROBE += "probe(sys.argv[2:])"
MODULES = {"scikit-learn": "sklearn", "protobuf": "google.protobuf"}
"""What is imported under another name than it is installed."""
OF_A_STAGE = {"glue": "glue"}
"""Extras without which a stage does not run."""
USES = {
    "watch": "`report`'s curves.png, pictures of `glue` and `inspect --plot`, TensorBoard's files",
    "glue": "`glue`",
    "hf": "comparing exports with transformers, in tests and in your own code",
    "cluster": "`fetch` and `pack` with `--executor dask://HOST:PORT`, or under mpiexec",
    "bench": "`python -m benchmarks`, and the peers that it compares with",
    "lamb": "`pretrain --optimizer lamb`",
    "spm": "`tokenize --import spiece.model`, `import` of a model with one",
    "dev": "`make test` and `make check`",
}
"""What needs the extras."""
NVIDIA = Path("/proc/driver/nvidia")


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that Hearth does not work without.

    Attributes:
        name: As it is installed.
        wanted: Its versions that suit.
        version: The one that is there; None: none is.
        fault: What is wrong with it; None: nothing.
        mend: The command that mends it.
    """

    name: str
    wanted: str
    version: str | None
    fault: str | None
    mend: str | None


@dataclass(frozen=True, kw_only=True)
class Extra:
    """Packages for something special.

    Attributes:
        name: As `pip install` knows it.
        use: What needs it.
        missing: Its packages that are not there, or in a version that does not suit.
        install: The command that installs it.
    """

    name: str
    use: str
    missing: tuple[str, ...]
    install: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was found; sizes are bytes, and None is what nothing tells.

    Attributes:
        device: What "auto" comes to: type, name, memory, precision, reason, threads; or a problem.
        compiled: Folder, functions and bytes of the machine code that is kept.
        faults: What the stages lack, each with the command that mends it.
        notes: What is worth knowing.
    """

    hearth: str
    python: str
    executable: str
    system: str
    processor: str | None
    cores: int
    cores_usable: int
    memory: Mapping[str, int | None]
    disk: Mapping[str, Mapping[str, Any]]
    device: Mapping[str, Any] | None
    compiled: Mapping[str, Any] | None
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class _Probed:
    """What the other process found: facts and errors, by the name of what it looked at."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def examine(folders: Mapping[str, Path]) -> Findings:
    """Look at everything.

    Args:
        folders: Whose disks are looked at, by what they are for.
    """
    wanted = requirements()
    needed = [one for one in wanted if one.extra is None]
    modules = [_module(one.name) for one in needed]
    probed = look([*modules, DEVICE, COMPILED])
    packages = tuple(_package(one, probed.errors.get(_module(one.name))) for one in needed)
    extras = tuple(_extra(name, wanted) for name in dict.fromkeys(_extras(wanted)))
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    memory = host_memory()
    device = probed.facts.get(DEVICE)
    return Findings(
        hearth=hearth_version(),
        python=platform.python_version(),
        executable=sys.executable,
        system=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        cores_usable=len(usable) or os.cpu_count() or 1,
        memory={
            "free": memory and memory.free,
            "total": memory and memory.total,
            "limit": memory_limit(),
        },
        disk={name: _disk(folder) for name, folder in folders.items()},
        device=device,
        compiled=probed.facts.get(COMPILED),
        packages=packages,
        extras=extras,
        faults=tuple(_faults(packages, extras, device)),
        notes=tuple(_notes(wanted, probed, {one.name for one in packages if one.fault})),
    )


def _faults(
    packages: Sequence[Package], extras: Sequence[Extra], device: Mapping[str, Any] | None
) -> list[str]:
    faults = [f"{one.name} {one.fault}: `{one.mend}`" for one in packages if one.fault]
    faults += [
        f"{OF_A_STAGE[one.name]} needs {', '.join(one.missing)}: `{one.install}`"
        for one in extras
        if one.missing and one.name in OF_A_STAGE
    ]
    if device is not None and "problem" in device:
        faults.append(f"{device['problem']}: {device['remedy']}")
    return faults


def look(names: Sequence[str]) -> _Probed:
    """Look at modules and steps in a process of its own; what ends it is left out of the next."""
    probed, left = _Probed(), list(names)
    while left:
        command = [sys.executable, "-P", "-c", PROBE, str(ROOT), *left]
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
        tried = left[0]
        for line in run.stdout.split("\n"):
            if line.startswith(MARK):
                finding = json.loads(line.removeprefix(MARK))
                tried = finding.get("trying", tried)
                if "error" in finding:
                    _keep(probed, finding)
                    left.remove(tried)
        if tried in left:
            probed.errors[tried] = f"ends Python ({_ending(run.returncode)})"
            left.remove(tried)
    return probed


def _keep(probed: _Probed, finding: Mapping[str, Any]) -> None:
    if finding["error"] is not None:
        probed.errors[finding["name"]] = finding["error"]
    elif finding["facts"] is not None:
        probed.facts[finding["name"]] = finding["facts"]


def _ending(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


def _module(name: str) -> str:
    return MODULES.get(name, name.replace("-", "_"))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _package(one: Requirement, error: str | None) -> Package:
    """Judge a package by its version and by what came of its import."""
    found, fault, mend = _version(one.name), None, None
    if error is not None and error.startswith("ModuleNotFoundError") and found is None:
        fault, mend = "is missing", f'pip install "{one}"'
    elif error is not None:
        fault = f"cannot be imported ({error})"
        mend = f'pip install --force-reinstall "{one}"'
    elif found is not None and not one.suits(found):
        fault, mend = f"is {found}, not {one.wanted}", f'pip install "{one}"'
    return Package(name=one.name, wanted=one.wanted, version=found, fault=fault, mend=mend)


def _extras(wanted: Sequence[Requirement]) -> list[str]:
    return [one.extra for one in wanted if one.extra is not None]


def _extra(name: str, wanted: Sequence[Requirement]) -> Extra:
    missing = []
    for one in wanted:
        if one.extra == name and not ((found := _version(one.name)) and one.suits(found)):
            missing.append(one.name if found is None else f"{one} (not {found})")
    where = f'-e ".[{name}]"' if is_checkout() else f'"hearth[{name}]"'
    return Extra(
        name=name, use=USES.get(name, ""), missing=tuple(missing), install=f"pip install {where}"
    )


def _disk(folder: Path) -> dict[str, Any]:
    there = nearest(folder)
    return {
        "folder": str(folder),
        "free": free_bytes(folder),
        "is_writable": os.access(there, os.W_OK),
    }


def _processor() -> str | None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or None
    lines = (line.partition(":") for line in cpuinfo.read_text(errors="replace").splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == "model name"), None)


def _notes(wanted: Sequence[Requirement], probed: _Probed, faulty: set[str]) -> list[str]:
    notes = []
    if not wanted:
        notes.append("neither pyproject.toml nor metadata tells which packages are wanted")
    device = probed.facts.get(DEVICE)
    if NVIDIA.exists() and device is not None and device.get("type") == "cpu":
        build = device["cuda_build"]
        why = "is built without CUDA" if build is None else f"(for CUDA {build}) cannot use"
        notes.append(f"there is an NVIDIA driver, but this torch {why}: see README, Installing")
    if (error := probed.errors.get(DEVICE)) is not None and "torch" not in faulty:
        notes.append(f"the device could not be looked at: {error}")
    if (threads := os.environ.get("OMP_NUM_THREADS")) is not None:
        notes.append(f"OMP_NUM_THREADS is {threads}: training on a CPU uses no more threads")
    return notes
