"""Changes to a folder of shards that its manifest agrees with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shards.format import Rows, ShardHeader
from shards.manifest import read_manifest
from shards.reader import open_shard
from shards.writer import write_shard

SHARD = "train/12/part-00000.arrow"
"""Its lengths are 12, 3, 8, 5, 12, 4: rows 1 and 5 have one segment, the others two."""
Edit = Callable[[Rows, ShardHeader], None]


def edit_rows(folder: Path, edit: Edit) -> None:
    """Change the rows of one shard and record the new file, so that only its rows are wrong."""
    header, rows = open_shard(folder / SHARD)
    changed = Rows(**{name: column.copy() for name, column in vars(rows).items()})
    edit(changed, header)
    record(folder, SHARD, header, changed)


def record(folder: Path, name: str, header: ShardHeader, rows: Rows) -> None:
    """Write a shard and its record in the manifest."""
    manifest = read_manifest(folder)
    assert manifest is not None
    file = write_shard(folder / name, header, rows)
    replace(manifest, files=manifest.files | {name: file}).write(folder)
