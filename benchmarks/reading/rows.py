"""Shards to read: random ids; rows of a document lie anywhere in their shard, as `pack` does it."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from shards.format import Rows, ShardHeader
from shards.manifest import Manifest
from shards.writer import write_shard

WIDTH, SETS = 128, 4
SHARD_BYTES = 40_000_000
"""About what `pack` writes into a shard."""
DOCUMENT_ROWS = 12
HEADER = ShardHeader(
    max_length=WIDTH, vocab_size=30522, mask_sets=SETS, mask_probability=0.15, pad_token_id=0,
    unk_token_id=1, cls_token_id=2, sep_token_id=3, mask_token_id=4, tokenizer="none",
)  # fmt: skip


def write_rows(folder: Path, size: int) -> list[Path]:
    """Write at least `size` bytes of rows, in four shards or more; return where they are."""
    shards = shards_for(size)
    rows = -(-size // (shards * HEADER.row_bytes))
    files = {}
    for number in range(shards):
        name = f"train/{WIDTH}/part-{number:05d}.arrow"
        files[name] = write_shard(folder / name, HEADER, _make(number, rows))
    counts = {"header": asdict(HEADER)}
    Manifest(stage="pack", config={}, inputs={}, files=files, counts=counts).write(folder)
    return [folder / name for name in files]


def shards_for(size: int) -> int:
    """Return how many shards so many bytes of rows are written in."""
    return max(4, -(-size // SHARD_BYTES))


def _make(number: int, rows: int) -> Rows:
    generator = np.random.default_rng(number)
    document = np.arange(number * rows, (number + 1) * rows) // DOCUMENT_ROWS
    return Rows(
        input_ids=generator.integers(5, HEADER.vocab_size, (rows, WIDTH), np.uint16),
        length=generator.integers(WIDTH // 2, WIDTH + 1, rows, np.uint16),
        second_start=generator.integers(3, WIDTH // 2, rows, np.uint16),
        sentence_order_label=generator.integers(0, 2, rows, np.uint8),
        masks=generator.integers(0, 256, (rows, SETS * HEADER.mask_bytes), np.uint8),
        document=generator.permutation(document).astype(np.uint32),
    )
