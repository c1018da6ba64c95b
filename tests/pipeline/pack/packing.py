"""How the sources are packed, and what is then in a folder."""

from pathlib import Path

import numpy as np

from pipeline.config import PackConfig
from shards.format import Rows
from shards.reader import ShardFolder

CONFIG = PackConfig(max_length=(32,), mask_sets=2, validation_fraction=0.2, seed=3)
LAYOUTS = {
    "pairs": PackConfig(
        max_length=(16, 32),
        mask_sets=2,
        validation_fraction=0.2,
        weights=(("beta", 2.5), ("gamma", 0.5)),
    ),
    "segments": PackConfig(layout="segments", max_length=(32,), mask="spans", seed=3),
    "stream": PackConfig(layout="stream", max_length=(16, 32), validation_fraction=0.2),
}
"""A configuration of each layout, all that shapes the rows in one or the other."""
SOURCES = ("alpha", "beta", "gamma", "delta")


def content(folder: Path) -> dict[str, bytes]:
    """Return all files but the manifest, which keeps times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def rows_of(folder: Path, split: str) -> Rows:
    shards = ShardFolder(folder, split)
    return shards.gather(np.arange(len(shards)))
