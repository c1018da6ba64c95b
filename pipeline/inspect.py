"""Look at a folder of shards: its balance sheet, its rows as text, its faults."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.encode import load_tokenizer
from pipeline.inspect_config import InspectConfig
from pipeline.legible import make_legible, text_of
from pipeline.sheet import describe_shards
from shards.errors import DataError
from shards.format import Rows, ShardHeader, unpack_masks
from shards.manifest import Manifest
from shards.reader import REPACK, ShardFolder, read_shard_manifest
from shards.verify import verify

__all__ = ["inspect_shards", "open_chosen", "verify"]

ORDERS = ("original order", "swapped")


def open_chosen(folder: Path, config: InspectConfig) -> ShardFolder:
    """Open the rows that a person chose.

    Raises:
        DataError: There are no such rows, no such mask set, or they are broken.
    """
    first_length = next(iter(read_shard_manifest(folder)[1]))
    shards = ShardFolder(folder, config.split, config.max_length or first_length)
    width, sets = shards.header.max_length, shards.header.mask_sets
    if not len(shards):
        other = "train" if config.split == "validation" else "validation"
        problem = f"{folder} has no {config.split} rows of {width} tokens"
        raise DataError(problem, f"choose --split {other}, or another --max-length")
    if config.mask_set >= max(1, sets):
        problem = f"{folder} has {sets or 'no'} mask sets a row, so there is none of number"
        remedy = "choose a lower --mask-set" if sets else "leave --mask-set out"
        raise DataError(f"{problem} {config.mask_set}", remedy)
    return shards


def inspect_shards(
    folder: Path, config: InspectConfig | None = None, *, in_colour: bool = False
) -> Iterator[str]:
    """Yield the balance sheet, and rows as text: a line of facts, then one up to each [SEP].

    What the mask set covers is coloured, or else stands in double square brackets.

    Raises:
        DataError: There are no shards, or they are broken, or have nothing of what was chosen.
    """
    config = config or InspectConfig()
    shards = open_chosen(folder, config)
    yield describe_shards(shards.manifest)
    tokenizer = load_tokenizer(folder / "tokenizer" / "tokenizer.json", REPACK)
    make_legible(tokenizer)
    numbers = choose_rows(folder, shards, config)
    title = f"of the {len(shards):,} {config.split} rows of {shards.header.max_length} tokens"
    yield f"{title}{_legend(shards.header, config.mask_set, in_colour)}:"
    show = _RowText(shards.header, tokenizer, in_colour)
    for number in numbers.tolist():
        row = shards.gather(np.array([number]))
        yield f"row {number}: {_facts(shards, row)}"
        for line in show.lines(row, config.mask_set):
            yield f"  {line}"


def _legend(header: ShardHeader, mask_set: int, in_colour: bool) -> str:
    """Return how to read the marks, where there are any."""
    if not header.mask_sets:
        return ""
    mark = click.style("so", fg="black", bg="yellow") if in_colour else "[[so]]"
    return f", with what mask set {mask_set} of {header.mask_sets} covers marked {mark}"


def choose_rows(folder: Path, shards: ShardFolder, config: InspectConfig) -> NDArray[np.int64]:
    """Return the numbers of the rows to show."""
    numbers = np.arange(len(shards))
    if config.document is not None:
        found = [np.flatnonzero(rows.document == config.document) for rows in shards.shards()]
        firsts = np.cumsum([0, *(len(rows) for rows in shards.shards())])
        numbers = np.concatenate([f + first for f, first in zip(found, firsts, strict=False)])
        if not len(numbers):
            where = f"{folder} has no {config.split} row of document {config.document}"
            raise DataError(where, "choose another --document or --split")
    if config.seed is not None:
        count = min(config.rows, len(numbers))
        chosen = np.random.default_rng(config.seed).choice(len(numbers), count, replace=False)
        return numbers[chosen]
    return numbers[: config.rows]


def source_of(manifest: Manifest, document: int) -> str | None:
    """Return the source that a document, by its number, comes from; None: nothing tells."""
    end = 0
    for source in manifest.counts.get("sources", ()):
        end += source["documents"]
        if document < end:
            return str(source["name"])
    return None


def _facts(shards: ShardFolder, row: Rows) -> str:
    header, document = shards.header, int(row.document[0])
    source = source_of(shards.manifest, document)
    of = f" of {source}" if source else ""
    facts = f"document {document}{of}, {row.length[0]} tokens"
    if header.layout == "stream":
        return facts
    if row.second_start[0] == row.length[0]:
        return f"{facts}, one segment"
    label = int(row.sentence_order_label[0])
    return f"{facts}, {ORDERS[label] if header.layout == 'pairs' else 'two segments'}"


def masks_of(row: Rows, mask_set: int, header: ShardHeader) -> NDArray[np.bool_]:
    """Return (L,) what a mask set of a single row covers; nothing where rows have none."""
    if not header.mask_sets:
        return np.zeros(header.max_length, np.bool_)
    is_masked: NDArray[np.bool_] = unpack_masks(
        row.mask_set(np.array([mask_set]), header), header.max_length
    )[0]
    return is_masked


class _RowText:
    """Turns rows into lines of text.

    Args:
        header: The shards' header.
        tokenizer: The one that made the ids, made legible.
        in_colour: Whether masks and borders are coloured, or told by brackets.
    """

    def __init__(self, header: ShardHeader, tokenizer: Tokenizer, in_colour: bool) -> None:
        self.header = header
        self.tokenizer = tokenizer
        self.in_colour = in_colour

    def lines(self, row: Rows, mask_set: int) -> list[str]:
        """Return a line up to each [SEP] of a single row."""
        ids = row.input_ids[0, : row.length[0]]
        is_masked = masks_of(row, mask_set, self.header)
        ends = np.flatnonzero(ids == self.header.sep_token_id) + 1
        bounds = np.unique([0, *ends, len(ids)])
        return [
            self._line(ids[first:last], is_masked[first:last]) for first, last in pairwise(bounds)
        ]

    def _line(self, ids: NDArray[np.integer], is_masked: NDArray[np.bool_]) -> str:
        """Return the text of a segment between its borders."""
        first = 1 if ids[0] == self.header.cls_token_id else 0
        last = len(ids) - 1 if ids[-1] == self.header.sep_token_id else len(ids)
        runs = text_of(self.tokenizer, ids[first:last].tolist(), is_masked[first:last])
        text = "".join(self._mark(run) if marked else run for run, marked in runs)
        borders = [self._border(ids[:first]), text.strip(), self._border(ids[last:])]
        return " ".join(part for part in borders if part)

    def _border(self, ids: NDArray[np.integer]) -> str:
        text: str = self.tokenizer.decode(ids.tolist(), skip_special_tokens=False)
        return click.style(text, fg="cyan") if text and self.in_colour else text

    def _mark(self, run: str) -> str:
        """Mark text that is to be predicted, but not the space before it."""
        text = run.lstrip(" ")
        marked = click.style(text, fg="black", bg="yellow") if self.in_colour else f"[[{text}]]"
        return run[: len(run) - len(text)] + marked
