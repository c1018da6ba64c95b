"""Write one shard: Arrow IPC file format, uncompressed, one record batch."""

from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from blake3 import blake3
from pyarrow import ipc

from shards.files import write_atomically
from shards.format import Rows, ShardHeader
from shards.manifest import FileRecord


class _Hashed:
    """A file opened for writing that hashes what goes by, as `pyarrow` writes: in order."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.hash = blake3()

    def write(self, data: bytes | memoryview) -> int:
        self.hash.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


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
    with write_atomically(path) as file:
        hashed = _Hashed(file)
        with ipc.new_file(pa.PythonFile(hashed, mode="w"), schema) as writer:
            writer.write_batch(batch)
    status = path.stat()
    return FileRecord(status.st_size, status.st_mtime_ns, hashed.hash.hexdigest(), len(rows))
