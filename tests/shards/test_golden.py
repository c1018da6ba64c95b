"""Format version 1 as it was first written: this folder is never made again, only read.

`write_golden` shows how `v1/` came to be (2026-11, pyarrow 26); a change that keeps it from being
read, or reads other values, needs a new format version, a new folder beside it, and both tests.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from shards.format import Rows, ShardHeader
from shards.manifest import Manifest
from shards.order import Order
from shards.reader import ShardFolder, open_shard
from shards.verify import verify
from shards.writer import write_shard

GOLDEN = Path(__file__).parent / "v1"

HEADER = ShardHeader(
    max_length=12,
    vocab_size=40,
    mask_sets=2,
    mask_probability=0.25,
    pad_token_id=0,
    unk_token_id=1,
    cls_token_id=2,
    sep_token_id=3,
    mask_token_id=4,
    tokenizer="00112233445566778899aabbccddeeff" * 2,
)
INPUT_IDS = [
    [2, 5, 6, 7, 3, 8, 9, 10, 11, 12, 13, 3],
    [2, 14, 15, 16, 17, 3, 18, 19, 3, 0, 0, 0],
    [2, 20, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [2, 1, 3, 39, 3, 0, 0, 0, 0, 0, 0, 0],
    [2, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 3],
    [2, 31, 32, 3, 33, 34, 35, 36, 3, 0, 0, 0],
]
ROWS = Rows(
    input_ids=np.array(INPUT_IDS, np.uint16),
    length=np.array([12, 9, 3, 5, 12, 9], np.uint16),
    second_start=np.array([5, 6, 3, 3, 12, 4], np.uint16),
    sentence_order_label=np.array([0, 1, 255, 1, 255, 0], np.uint8),
    masks=np.array(
        [
            [0b00100110, 0b0000, 0b00000000, 0b0111],
            [0b00011000, 0b0000, 0b10000000, 0b0000],
            [0b00000010, 0b0000, 0b00000000, 0b0000],
            [0b00000010, 0b0000, 0b00001000, 0b0000],
            [0b00000000, 0b0111, 0b00001110, 0b0000],
            [0b01100000, 0b0000, 0b00000110, 0b0000],
        ],
        np.uint8,
    ),
    document=np.array([2, 0, 1, 2, 4_000_000_000, 3], np.uint32),
)
SHARDS = {"train/12/part-00000.arrow": slice(0, 4), "validation/12/part-00003.arrow": slice(4, 6)}


def write_golden(folder: Path) -> None:
    """Write the folder of shards that is checked in as `v1/`."""
    files = {name: write_shard(folder / name, HEADER, ROWS.take(SHARDS[name])) for name in SHARDS}
    counts = {"header": asdict(HEADER), "sources": [{"name": "text", "documents": 1 << 32}]}
    Manifest(stage="pack", config={}, inputs={}, files=files, counts=counts).write(folder)


@pytest.mark.parametrize("name", SHARDS)
def test_a_shard_of_version_1_has_these_values(name: str):
    header, rows = open_shard(GOLDEN / name)
    assert header == HEADER
    for column, expected in vars(ROWS.take(SHARDS[name])).items():
        assert vars(rows)[column].dtype == expected.dtype
        assert vars(rows)[column].tolist() == expected.tolist()


def test_a_folder_of_version_1_verifies():
    assert list(verify(GOLDEN)) == []


def test_a_folder_of_version_1_is_read_by_split():
    train, validation = ShardFolder(GOLDEN, "train"), ShardFolder(GOLDEN, "validation")
    assert (len(train), len(validation), train.header) == (4, 2, HEADER)
    index, _ = Order(4, 0).take(0, 4)
    assert train.gather(index).input_ids.tolist() == [INPUT_IDS[row] for row in index]


def test_rows_are_still_written_as_version_1_can_be_read(tmp_path: Path):
    write_golden(tmp_path)
    for name in SHARDS:
        header, rows = open_shard(tmp_path / name)
        assert header == HEADER
        assert rows.input_ids.tolist() == ROWS.take(SHARDS[name]).input_ids.tolist()
    assert list(verify(tmp_path)) == []
