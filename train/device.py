"""Which device a run uses."""

import re

import torch

from shards.errors import DataError

CUDA_12_6 = 'pip install "torch==2.13.*" --index-url https://download.pytorch.org/whl/cu126'
"""Builds with kernels for cards before Turing (pytorch/pytorch #190385)."""
KERNELS = re.compile(r"sm_(\d+)")
"""Names of architectures that a build has kernels for."""


def choose_device(name: str) -> torch.device:
    """Return the device that `name` ("auto", "cpu", "cuda", "mps") stands for.

    Raises:
        DataError: It is not there, or this build of torch has no kernels for it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    if name == "cuda":
        _check_cuda()
    if name == "mps" and not torch.backends.mps.is_available():
        raise DataError("this torch finds no mps device", "use --device cpu")
    return torch.device(name)


def _check_cuda() -> None:
    if not torch.cuda.is_available():
        remedy = "use --device cpu, or install the driver and a CUDA build of torch (see README)"
        raise DataError("this torch finds no cuda device", remedy)
    major, minor = torch.cuda.get_device_capability()
    # Beside sm_75 there may be sm_90a, and compute_120 for cards that are newer than the build.
    known = map(KERNELS.match, torch.cuda.get_arch_list())
    oldest = min((int(found[1]) for found in known if found), default=0)
    if 10 * major + minor < oldest:
        problem = (
            f"this torch has no kernels for {torch.cuda.get_device_name()} (sm_{major}{minor})"
        )
        raise DataError(problem, f"install an older CUDA's build: {CUDA_12_6}")
