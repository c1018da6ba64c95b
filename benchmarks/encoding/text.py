"""Paragraphs of the fetched text, in blocks of about 1 MB as `pack` encodes them."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path

import click

from pipeline.documents import read_texts
from pipeline.sentences import paragraphs_of
from pipeline.texts import TextSource, text_sources

BLOCK_BYTES = 1 << 20

Block = list[str]


def size_of(block: Block) -> int:
    """Return the bytes of a block's text in UTF-8."""
    return sum(len(paragraph.encode()) for paragraph in block)


def find_sources(folder: Path, names: Collection[str]) -> list[TextSource]:
    """Return the sources under a folder; only those named, if any are."""
    found = {source.name: source for source in text_sources(folder)}
    if unknown := sorted(set(names) - set(found)):
        raise click.UsageError(f"{folder} has no {', '.join(unknown)}; it has {', '.join(found)}")
    return [source for name, source in found.items() if name in names or not names]


def read_blocks(sources: list[TextSource], limit: int) -> Iterator[Block]:
    """Yield blocks of all sources until there are `limit` bytes: each has the same part read."""
    streams = [(source.text_bytes, _blocks_of(source)) for source in sources]
    total = 0
    for block in in_proportion(streams):
        yield block
        total += size_of(block)
        if total >= limit:
            return


def in_proportion(streams: Iterable[tuple[int, Iterator[Block]]]) -> Iterator[Block]:
    """Yield from streams of known size, always from the one of which the smallest part is read."""
    sizes, waiting = zip(*streams, strict=True)
    parts = dict.fromkeys(range(len(waiting)), 0.0)
    while parts:
        least = min(parts, key=lambda number: parts[number])
        block = next(waiting[least], None)
        if block is None:
            del parts[least]
        else:
            parts[least] += size_of(block) / sizes[least]
            yield block


def _blocks_of(source: TextSource) -> Iterator[Block]:
    block: Block = []
    size = 0
    texts = chain.from_iterable(map(read_texts, source.row_groups()))
    for paragraph in chain.from_iterable(map(paragraphs_of, texts)):
        block.append(paragraph)
        size += len(paragraph.encode())
        if size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block
