"""How much memory a device has, and has free now."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
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


def available_memory(device: "torch.device") -> Available | None:
    """Return the memory of a device; None where the system does not tell."""
    if device.type == "cuda":
        import torch

        return Available(*torch.cuda.mem_get_info(device))
    return host_memory()


def host_memory() -> Available | None:
    """Return the memory of this machine, or of its container; None: the system does not tell."""
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
    taken = cgroup / "memory.current"
    if taken.is_file() and (limit := memory_limit(cgroup)) is not None:
        total = min(total, limit)
        free = min(free, max(0, limit - int(taken.read_text())))
    return Available(free, total)


def memory_limit(cgroup: Path = CGROUP) -> int | None:
    """Return what a container may take; None: as much as there is."""
    most = cgroup / "memory.max"
    limit = most.read_text().strip() if most.is_file() else "max"
    return None if limit == "max" else int(limit)
