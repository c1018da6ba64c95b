"""Batches of shuffled rows from memory-mapped shards, against Arrow's own `take` on the same files.

Both sides give the same numpy columns for the same row numbers. Pages are warm: this measures the
gather, not the disk.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from shards.format import Rows, ShardHeader
from shards.manifest import Manifest
from shards.order import Order
from shards.reader import ShardFolder
from shards.writer import write_shard

SHARDS, ROWS = 4, 50_000
BATCH, BATCHES, ROUNDS = 128, 200, 7


def main() -> None:
    """Print rows per second of both sides, and their ratio."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        ours = ShardFolder(folder, "train")
        table = pa.concat_tables(
            ipc.open_file(pa.memory_map(str(path))).read_all()
            for path in sorted(folder.glob("train/*/*.arrow"))
        )
        order = Order(len(ours), seed=0)
        batches = [order.take(batch * BATCH, BATCH)[0] for batch in range(BATCHES)]
        for index in batches[:5]:
            for one, other in zip(
                vars(ours.gather(index)).values(), _take(table, index), strict=True
            ):
                assert np.array_equal(one, other)
        rates: dict[str, list[float]] = {"hearth": [], "arrow": []}
        for _ in range(ROUNDS):
            rates["hearth"].append(_rate(ours.gather, batches))
            rates["arrow"].append(_rate(lambda index: _take(table, index), batches))
    for side, values in rates.items():
        low, middle, high = min(values), median(values), max(values)
        print(f"{side:8} {middle:12,.0f} rows/s  (from {low:,.0f} to {high:,.0f})")
    ratio = median(ours / other for ours, other in zip(*rates.values(), strict=True))
    result = {side: round(median(values)) for side, values in rates.items()}
    print(json.dumps({"benchmark": "read", "rows_per_s": result, "ratio": round(ratio, 2)}))


def _write(folder: Path) -> None:
    """Write shards of random rows; content does not matter to a gather."""
    header = ShardHeader(
        max_length=128, vocab_size=30522, mask_sets=4, mask_probability=0.15, pad_token_id=0,
        unk_token_id=1, cls_token_id=2, sep_token_id=3, mask_token_id=4, tokenizer="none",
    )  # fmt: skip
    generator = np.random.default_rng(0)
    files = {}
    for number in range(SHARDS):
        rows = Rows(
            input_ids=generator.integers(5, 30522, (ROWS, 128), np.uint16),
            length=np.full(ROWS, 128, np.uint16),
            second_start=np.full(ROWS, 64, np.uint16),
            sentence_order_label=np.zeros(ROWS, np.uint8),
            masks=generator.integers(0, 256, (ROWS, 64), np.uint8),
            document=np.arange(ROWS, dtype=np.uint32),
        )
        name = f"train/128/part-{number:05d}.arrow"
        files[name] = write_shard(folder / name, header, rows)
    counts = {"header": vars(header)}
    Manifest(stage="pack", config={}, inputs={}, files=files, counts=counts).write(folder)


def _take(table: pa.Table, index: NDArray[np.int64]) -> list[NDArray[np.generic]]:
    """Gather rows with Arrow, as the numpy columns that a trainer needs."""
    columns = []
    for column in table.take(pa.array(index)).combine_chunks().columns:
        chunk = column.combine_chunks()
        if pa.types.is_fixed_size_list(chunk.type):
            columns.append(chunk.flatten().to_numpy().reshape(-1, chunk.type.list_size))
        else:
            columns.append(chunk.to_numpy())
    return columns


def _rate(gather: Callable[[NDArray[np.int64]], object], batches: list[NDArray[np.int64]]) -> float:
    """Return rows per second of `gather` over all batches."""
    start = time.perf_counter()
    for index in batches:
        gather(index)
    return len(batches) * BATCH / (time.perf_counter() - start)
