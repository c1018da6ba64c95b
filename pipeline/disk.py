"""Whether the shards will fit on the disk, told before the work begins.

The estimate needs no sample and errs on the side of too much: by a third on English text.
`pack --dry-run` forecasts more closely.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from pipeline.shard_task import ShardTask
from shards.errors import DataError

BYTES_PER_TOKEN = 3.0
"""Of text. English has 4 to 4.5 with vocabularies of 8,000 to 50,000 entries."""
FILL = 0.75
"""Part of a row that is not padding, short rows apart: .78 to .95 was measured on lengths of 128
and 512. A document's last row adds to that: one row a document is counted besides."""


def check_disk(out: Path, tasks: list[ShardTask]) -> None:
    """Compare the shards that are still to be made with what is free where `out` lies.

    A task of which a file is there counts as done; one that is made again takes its place.

    Raises:
        DataError: They do not fit.
    """
    made = {path.name for path in out.glob("*/*/*.arrow")}
    needed = sum(most_bytes(task) for task in tasks if f"{task.name}.arrow" not in made)
    free = free_bytes(out)
    if needed > free:
        problem = f"{out} needs about {_gb(needed)} more, and {_gb(free)} are free on its disk"
        remedy = "make room, or choose another disk with --out, or fewer --max-length or --weights"
        raise DataError(problem, remedy)


def most_bytes(task: ShardTask) -> int:
    """Return how many bytes the task's shards will hardly exceed."""
    config = task.config
    documents = sum(group.documents for group in task.groups)
    tokens = sum(group.text_bytes for group in task.groups) / BYTES_PER_TOKEN
    fill = FILL * (1 - config.short_row_probability / 2)
    size = 0.0
    for length in config.max_length:
        if config.layout == "stream":
            rows = (tokens + documents) / length + 1
        else:
            rows = tokens / (fill * length) + documents
        size += rows * replace(task.header, max_length=length).row_bytes
    return round(task.share * size)


def free_bytes(out: Path) -> int:
    """Return what is free on the disk on which a folder lies, or would lie."""
    folder = out.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _gb(size: int) -> str:
    return f"{size / 1e9:,.2f} GB"
