"""Rows of shards for a program to read: `inspect --json`."""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from pipeline.encode import load_tokenizer
from pipeline.inspect import choose_rows, masks_of, open_chosen, source_of
from pipeline.inspect_config import InspectConfig
from pipeline.legible import make_legible
from shards.reader import REPACK, ShardFolder


def rows_as_json(folder: Path, config: InspectConfig) -> dict[str, Any]:
    """Return the balance sheet, and the rows that were chosen, in values that JSON has.

    Raises:
        DataError: There are no shards, or they are broken, or have nothing of what was chosen.
    """
    shards = open_chosen(folder, config)
    tokenizer = load_tokenizer(folder / "tokenizer" / "tokenizer.json", REPACK)
    make_legible(tokenizer)
    numbers = choose_rows(folder, shards, config).tolist()
    return {
        "shards": str(folder),
        "header": asdict(shards.header),
        "balance": shards.manifest.counts.get("balance"),
        "split": config.split,
        "rows_in_split": len(shards),
        "mask_set": config.mask_set if shards.header.mask_sets else None,
        "rows": [_row(shards, tokenizer, number, config.mask_set) for number in numbers],
    }


def _row(shards: ShardFolder, tokenizer: Tokenizer, number: int, mask_set: int) -> dict[str, Any]:
    """Return a row: columns under their names in FORMAT.md, and what they say as text."""
    header, row = shards.header, shards.gather(np.array([number]))
    ids = row.input_ids[0, : row.length[0]].tolist()
    document, label = int(row.document[0]), int(row.sentence_order_label[0])
    ends = [place + 1 for place, one in enumerate(ids) if one == header.sep_token_id]
    bounds = sorted({0, *ends, len(ids)})
    special = {header.cls_token_id, header.sep_token_id}
    texts = [
        tokenizer.decode([one for one in ids[first:last] if one not in special], False)
        for first, last in pairwise(bounds)
    ]
    return {
        "row": number,
        "document": document,
        "source": source_of(shards.manifest, document),
        "length": len(ids),
        "second_start": int(row.second_start[0]),
        "sentence_order_label": label if label in (0, 1) else None,
        "segments": texts,
        "input_ids": ids,
        "tokens": [tokenizer.id_to_token(one) for one in ids],
        "masked_positions": np.flatnonzero(masks_of(row, mask_set, header)).tolist(),
    }
