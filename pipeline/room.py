"""How much room a disk has; nothing heavy."""

import shutil
from pathlib import Path


def free_bytes(out: Path) -> int:
    """Return what is free on the disk on which a folder lies, or would lie."""
    return shutil.disk_usage(nearest(out)).free


def nearest(folder: Path) -> Path:
    """Return a folder that is there: this one, or the nearest that it would lie in."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
