"""`verify` and its hashing, against BLAKE3 itself over the same bytes in memory.

Three rates over the same shards: the library's own hash of bytes that lie in memory already, with
all its threads; `hash_file`, which maps the file first; and the whole of `verify`, which hashes
every file and then checks every row. Pages are warm: this measures the work, not the disk.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import numpy as np
from blake3 import blake3

from shards.files import hash_file
from shards.format import Rows, ShardHeader
from shards.manifest import Manifest
from shards.verify import verify
from shards.writer import write_shard

SHARDS, ROWS, WIDTH, SETS = 4, 100_000, 128, 4
ROUNDS = 9


@click.command()
@click.option(
    "--shards", type=click.Path(path_type=Path), help="what `pack` wrote  [default: made]"
)
def main(shards: Path | None) -> None:
    """Print GB/s of each side; the last line is JSON."""
    if shards is not None:
        measure(shards)
        return
    with TemporaryDirectory() as name:
        write_shards(Path(name))
        measure(Path(name))


def measure(folder: Path) -> None:
    """Measure all sides in turn, in each round, on one folder."""
    paths = sorted(folder.rglob("*.arrow"))
    contents = [path.read_bytes() for path in paths]
    size = sum(map(len, contents))

    def blake3_itself() -> list[str]:
        return [blake3(raw, max_threads=blake3.AUTO).hexdigest() for raw in contents]

    def hash_files() -> list[str]:
        return [hash_file(path) for path in paths]

    assert blake3_itself() == hash_files()
    assert list(verify(folder)) == []
    sides = {
        "blake3": blake3_itself,
        "hash_file": hash_files,
        "verify": lambda: list(verify(folder)),
    }
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side, function in sides.items():
            rates[side].append(size / 1e9 / seconds(function))
    print(f"{len(paths)} shards, {size / 1e6:.0f} MB")
    for side, values in rates.items():
        low, middle, high = min(values), median(values), max(values)
        print(f"{side:10} {middle:6.2f} GB/s  (from {low:.2f} to {high:.2f})")
    result = {f"{side}_gb_per_s": round(median(values), 2) for side, values in rates.items()}
    ratios = {
        f"{side}_ratio": round(
            median(a / b for a, b in zip(rates[side], rates["blake3"], strict=True)), 2
        )
        for side in ("hash_file", "verify")
    }
    print(json.dumps({"benchmark": "verify", **result, **ratios}))


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def write_shards(folder: Path) -> None:
    """Write shards of random words that keep all the rules: rows of one segment, a tenth masked."""
    header = ShardHeader(
        max_length=WIDTH, vocab_size=30522, mask_sets=SETS, mask_probability=0.15, pad_token_id=0,
        unk_token_id=1, cls_token_id=2, sep_token_id=3, mask_token_id=4, tokenizer="none",
        layout="segments",
    )  # fmt: skip
    generator = np.random.default_rng(0)
    position = np.arange(WIDTH)
    masks = np.zeros((SETS, WIDTH), np.uint8)
    masks[:, 5 : 5 + WIDTH // 10] = 1
    files = {}
    for number in range(SHARDS):
        length = generator.integers(WIDTH // 2, WIDTH + 1, ROWS).astype(np.uint16)
        ids = generator.integers(5, 30522, (ROWS, WIDTH), np.uint16)
        ids[:, 0] = header.cls_token_id
        ids[np.arange(ROWS), length - 1] = header.sep_token_id
        ids[position >= length[:, None]] = header.pad_token_id
        packed = np.packbits(masks, axis=1, bitorder="little").reshape(1, -1)
        rows = Rows(
            input_ids=ids,
            length=length,
            second_start=length,
            sentence_order_label=np.full(ROWS, 255, np.uint8),
            masks=np.repeat(packed, ROWS, axis=0),
            document=np.arange(ROWS, dtype=np.uint32),
        )
        rows.masks[length < WIDTH] = 0  # a shorter row's budget is smaller
        name = f"train/{WIDTH}/part-{number:05d}.arrow"
        files[name] = write_shard(folder / name, header, rows)
    counts = {"header": vars(header), "sources": [{"name": "text", "documents": ROWS}]}
    Manifest(stage="pack", config={}, inputs={}, files=files, counts=counts).write(folder)
