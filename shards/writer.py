"""Write one shard: Arrow IPC file format, uncompressed, one record batch."""

from pathlib import Path

import pyarrow as pa
from pyarrow import ipc

from shards.files import write_atomically
from shards.format import Rows, ShardHeader
from shards.manifest import FileRecord, record_file


def write_shard(path: Path, header: ShardHeader, rows: Rows) -> FileRecord:
    """Write `rows` under `path`, whole or not at all, and return the file's record."""
    schema = header.schema()
    columns = []
    for field in schema:
        values = pa.array(getattr(rows, field.name).reshape(-1))
        if pa.types.is_fixed_size_list(field.type):
            values = pa.FixedSizeListArray.from_arrays(values, type=field.type)
        columns.append(values)
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    with write_atomically(path) as file, ipc.new_file(file, schema) as writer:
        writer.write_batch(batch)
    return record_file(path, len(rows))
