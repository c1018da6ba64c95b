"""Look at a folder of shards: its balance sheet, its rows as text, its faults."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.balance import describe
from pipeline.encode import load_tokenizer
from shards.format import NO_LABEL, Rows, ShardHeader, unpack_masks
from shards.reader import REPACK, ShardFolder
from shards.verify import verify

__all__ = ["inspect_shards", "verify"]

LABELS = {0: "original order", 1: "swapped", NO_LABEL: "one segment"}


def inspect_shards(folder: Path, count: int) -> Iterator[str]:
    """Yield the balance sheet, and the first `count` training rows as text.

    What mask set 0 covers stands in double square brackets.

    Raises:
        DataError: There are no shards, or they are broken.
    """
    shards = ShardFolder(folder, "train")
    yield describe(shards.manifest)
    tokenizer = load_tokenizer(folder / "tokenizer" / "tokenizer.json", REPACK)
    rows = shards.gather(np.arange(min(count, len(shards))))
    for number in range(len(rows)):
        label = LABELS[int(rows.sentence_order_label[number])]
        yield (
            f"row {number}: document {rows.document[number]}, {rows.length[number]} tokens, {label}"
        )
        for segment in _segments(rows, number, shards.header, tokenizer):
            yield f"  {segment}"


def _segments(rows: Rows, number: int, header: ShardHeader, tokenizer: Tokenizer) -> list[str]:
    masks = rows.mask_set(np.zeros(len(rows), np.int64), header)[number : number + 1]
    is_masked = unpack_masks(masks, header.max_length)[0]
    length, second = int(rows.length[number]), int(rows.second_start[number])
    bounds = [(1, second - 1), (second, length - 1)]
    return [
        _marked(rows.input_ids[number, first:last].tolist(), is_masked[first:last], tokenizer)
        for first, last in bounds
        if first < last
    ]


def _marked(ids: list[int], is_masked: NDArray[np.bool_], tokenizer: Tokenizer) -> str:
    """Decode runs of equal masking apart, and bracket those to be predicted."""
    text = []
    borders = np.flatnonzero(np.diff(is_masked)) + 1
    for run in np.split(np.arange(len(ids)), borders):
        piece = tokenizer.decode([ids[position] for position in run], skip_special_tokens=False)
        text.append(f"[[{piece.strip()}]]" if is_masked[run[0]] else piece.strip())
    return " ".join(piece for piece in text if piece)
