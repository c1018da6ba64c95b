"""How much memory a device has, and has free now."""

import os
from pathlib import Path
from typing import NamedTuple

import torch

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
"""Of a container, version 2: what it may take and has taken (kernel.org, `cgroup-v2`)."""


class Available(NamedTuple):
    """Bytes of memory.

    Attributes:
        free: That can be taken now.
        total: That there are.
    """

    free: int
    total: int


def available_memory(device: torch.device) -> Available | None:
    """Return the memory of a device; None where the system does not tell."""
    if device.type == "cuda":
        return Available(*torch.cuda.mem_get_info(device))
    if MEMINFO.is_file():
        return read_available(MEMINFO.read_text(), CGROUP)
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")  # macOS tells no more; Windows not even that
    if not set(names) <= set(getattr(os, "sysconf_names", ())):
        return None
    total = os.sysconf(names[0]) * os.sysconf(names[1])
    return Available(total, total)


def read_available(meminfo: str, cgroup: Path) -> Available:
    """Return what `/proc/meminfo` says, or less where a container may take less."""
    lines = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    free, total = (1024 * int(lines[name].split()[0]) for name in ("MemAvailable", "MemTotal"))
    most, taken = cgroup / "memory.max", cgroup / "memory.current"
    if most.is_file() and taken.is_file() and (limit := most.read_text().strip()) != "max":
        total = min(total, int(limit))
        free = min(free, max(0, int(limit) - int(taken.read_text())))
    return Available(free, total)
