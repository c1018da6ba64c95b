"""Shards to train on: random ids in rows that keep every rule of `shards/FORMAT.md`."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reading.rows import HEADER, shards_for
from shards.format import Rows, ShardHeader, mask_budget
from shards.manifest import Manifest
from shards.writer import write_shard

TEMPLATES = 4096
"""Rows whose lengths and masks are drawn; all others are like one of them, with ids of their own:
to draw every mask would take minutes."""
FIRST_WORD = 1 + max(value for name, value in vars(HEADER).items() if name.endswith("_token_id"))


def write_rows(folder: Path, size: int, length: int, fill: float) -> list[Path]:
    """Write at least `size` bytes of rows, in four shards or more; return where they are.

    Args:
        folder: Where to.
        size: Bytes.
        length: Places of a row.
        fill: Share of places that hold tokens; lengths are spread evenly around it.
    """
    header = replace(HEADER, max_length=length)
    templates = _draw_templates(header, fill)
    shards = shards_for(size)
    count = -(-size // (shards * header.row_bytes))
    files = {}
    for number in range(shards):
        name = f"train/{length}/part-{number:05d}.arrow"
        files[name] = write_shard(folder / name, header, _make(number, count, templates, header))
    counts = {"header": asdict(header)}
    Manifest(stage="pack", config={}, inputs={}, files=files, counts=counts).write(folder)
    return [folder / name for name in files]


def _draw_templates(header: ShardHeader, fill: float) -> Rows:
    """Return rows that have everything but ids."""
    generator, width = np.random.default_rng(0), header.max_length
    low = max(8, round((2 * fill - 1) * width))
    length = generator.integers(low, width + 1, TEMPLATES)
    second = generator.integers(3, length - 2)
    masks = [_draw_masks(length, second, header, generator) for _ in range(header.mask_sets)]
    return Rows(
        input_ids=np.empty((TEMPLATES, 0), header.id_type),
        length=length.astype(np.uint16),
        second_start=second.astype(np.uint16),
        sentence_order_label=generator.integers(0, 2, TEMPLATES, np.uint8),
        masks=np.concatenate(masks, axis=1),
        document=np.zeros(TEMPLATES, np.uint32),
    )


def _draw_masks(
    length: NDArray[np.int64],
    second: NDArray[np.int64],
    header: ShardHeader,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return a mask set of each row, as large as its budget allows, packed."""
    place, row = np.arange(header.max_length), np.arange(len(length))
    order = generator.random((len(length), header.max_length), np.float32)
    order[place >= length[:, None] - 1] = 2  # the last [SEP] and the padding
    order[:, 0] = 2
    order[row, second - 1] = 2
    rank = order.argsort(1).argsort(1)
    chosen = rank < mask_budget(length, header.mask_probability)[:, None]
    return np.packbits(chosen & (order < 2), axis=1, bitorder="little")


def _make(number: int, count: int, templates: Rows, header: ShardHeader) -> Rows:
    generator = np.random.default_rng(number)
    rows = templates.take(generator.integers(0, TEMPLATES, count))
    row, width = np.arange(count), header.max_length
    ids = generator.integers(FIRST_WORD, header.vocab_size, (count, width), header.id_type)
    ids[:, 0] = header.cls_token_id
    for end in (rows.second_start, rows.length):
        ids[row, end.astype(np.int64) - 1] = header.sep_token_id
    ids[np.arange(width) >= rows.length[:, None]] = header.pad_token_id
    document = np.arange(number * count, (number + 1) * count, dtype=np.uint32)
    return replace(rows, input_ids=ids, document=document)
