"""Headers, valid rows made with numpy alone, and folders of shards to break."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from shards.format import NO_LABEL, Rows, ShardHeader, make_room
from shards.manifest import Manifest
from shards.writer import write_shard
from tests.shards.shuffling import SIZES

PAD, UNK, CLS, SEP, MASK = range(5)


@pytest.fixture(scope="session")
def make_header() -> Callable[..., ShardHeader]:
    """Return a function that makes a header; any field may be given."""

    def make(**changes: object) -> ShardHeader:
        fields = {
            "max_length": 12,
            "vocab_size": 60,
            "mask_sets": 2,
            "mask_probability": 0.15,
            "pad_token_id": PAD,
            "unk_token_id": UNK,
            "cls_token_id": CLS,
            "sep_token_id": SEP,
            "mask_token_id": MASK,
            "tokenizer": "0" * 64,
        }
        return ShardHeader(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def make_rows() -> Callable[[ShardHeader, list[int], int], Rows]:
    """Return a function of (header, lengths, seed) that makes rows which keep every rule.

    Rows of 5 tokens or more have two segments, in pairs with labels 0 and 1 in turn; shorter rows
    have one. A stream has a [SEP] at the end of its odd rows.
    """

    def make(header: ShardHeader, lengths: list[int], seed: int = 0) -> Rows:
        random = np.random.default_rng(seed)
        count, width = len(lengths), header.max_length
        length = np.array(lengths, np.uint16)
        ids = random.integers(5, header.vocab_size, (count, width)).astype(header.id_type)
        second = length.copy()
        labels = np.full(count, NO_LABEL, np.uint8)
        chosen = np.zeros((count, header.mask_sets, header.mask_bytes * 8), np.uint8)
        for row, real in enumerate(lengths):
            ids[row, real:] = PAD
            if header.layout == "stream":
                ids[row, real - 1] = SEP if row % 2 else ids[row, real - 1]
                continue
            ids[row, 0], ids[row, real - 1] = CLS, SEP
            if real >= 5:
                second[row] = random.integers(3, real - 1)
                ids[row, second[row] - 1] = SEP
                labels[row] = row % 2 if header.layout == "pairs" else NO_LABEL
            free = np.flatnonzero(ids[row, :real] >= 5)
            for which in range(header.mask_sets):
                budget = int(real * header.mask_probability + 0.5)
                chosen[row, which, random.permutation(free)[:budget]] = 1
        masks = np.packbits(chosen, axis=2, bitorder="little").reshape(count, -1)
        documents = np.arange(count, dtype=np.uint32) + (seed << 20)
        return Rows(ids, length, second, labels, masks, documents.astype(np.uint32))

    return make


@pytest.fixture(scope="session")
def write_folder() -> Callable[[Path, ShardHeader, dict[str, Rows]], None]:
    """Return a function that writes shards by name, and the manifest that lists them."""

    def write(folder: Path, header: ShardHeader, shards: dict[str, Rows]) -> None:
        lengths = dict.fromkeys(int(name.split("/")[1]) for name in shards)
        files = {
            name: write_shard(
                folder / name, replace(header, max_length=int(name.split("/")[1])), rows
            )
            for name, rows in shards.items()
        }
        counts = {
            "header": asdict(header),
            "max_lengths": list(lengths),
            "sources": [{"name": "text", "documents": 1 << 32}],
        }
        Manifest(stage="pack", config={}, inputs={}, files=files, counts=counts).write(folder)

    return write


@pytest.fixture
def folder(tmp_path: Path, make_header, make_rows, write_folder) -> Path:
    """An intact folder: two train shards and one for validation."""
    header = make_header()
    shards = {
        "train/12/part-00000.arrow": make_rows(header, [12, 3, 8, 5, 12, 4]),
        "train/12/part-00001.arrow": make_rows(header, [9, 12, 7], 1),
        "validation/12/part-00000.arrow": make_rows(header, [12, 12], 2),
    }
    write_folder(tmp_path / "shards", header, shards)
    return tmp_path / "shards"


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory, make_header, write_folder):
    """Return a function that writes shards of these sizes; each row tells its number by itself."""

    def make(sizes: tuple[int, ...] = SIZES, **changes: object) -> Path:
        header = make_header(**changes)
        rows = make_room(header, sum(sizes))
        rows.document[:] = np.arange(len(rows))
        for name, column in vars(rows).items():
            places = np.arange(column.size).reshape(column.shape)
            column[:] = rows.document if name == "document" else places * 2654435761 >> 7
        ends = np.cumsum(sizes)
        shards = {
            f"train/{header.max_length}/part-{number:05d}.arrow": rows.take(slice(end - size, end))
            for number, (size, end) in enumerate(zip(sizes, ends, strict=True))
        }
        folder = tmp_path_factory.mktemp("shuffled")
        write_folder(folder, header, shards)
        return folder

    return make
