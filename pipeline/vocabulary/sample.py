"""A sample of the text, drawn evenly over the sources: whole documents, by their hash.

Which documents are drawn depends on the texts alone: not on their order, nor on the files that
they lie in. A document belongs to a smaller sample of its source only if it belongs to every
larger one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.bar import bar
from pipeline.documents import read_columns, read_texts
from pipeline.sentences import paragraphs_of
from pipeline.texts import TextSource

LAST_HASH = (1 << 64) - 1


@dataclass(frozen=True)
class SourceSample:
    """The documents of one source whose hash is at most `last_hash`."""

    source: TextSource
    last_hash: int
    documents: int
    text_bytes: int

    @property
    def is_whole(self) -> bool:
        """Return whether these are all documents."""
        return self.last_hash == LAST_HASH

    def texts(self) -> Iterator[str]:
        """Yield the documents, in the order in which they lie."""
        last = np.uint64(self.last_hash)
        for group in self.source.row_groups():
            chosen = read_columns(group, ["hash"])["hash"].to_numpy() <= last
            if chosen.any():
                yield from read_texts(group, chosen)


Sample = Sequence[SourceSample]


def draw_sample(sources: Sequence[TextSource], size: int | None) -> Sample:
    """Draw `size` bytes of text, or all of it: as much of each source, as far as it has that.

    The last document of a source that is drawn may go beyond its share.
    """
    sizes = [source.text_bytes for source in sources]
    shares = share_evenly(sizes, sum(sizes) if size is None else size)
    return [_draw(source, share) for source, share in zip(sources, shares, strict=True)]


def share_evenly(sizes: Sequence[int], total: int) -> list[int]:
    """Return what each takes of `total`: as much as the others, what a small one lacks theirs."""
    shares = list(sizes)
    smallest_first = sorted(range(len(sizes)), key=sizes.__getitem__)
    for rank, number in enumerate(smallest_first):
        shares[number] = min(sizes[number], total // (len(sizes) - rank))
        total -= shares[number]
    return shares


def _draw(source: TextSource, share: int) -> SourceSample:
    if share >= source.text_bytes:
        return SourceSample(source, LAST_HASH, source.documents, source.text_bytes)
    hashes, sizes = _measure(source)
    order = np.argsort(hashes)
    ends = np.cumsum(sizes[order])
    last = int(np.searchsorted(ends, share)) if share else -1
    if last < 0:
        return SourceSample(source, 0, 0, 0)
    return SourceSample(source, int(hashes[order[last]]), last + 1, int(ends[last]))


def _measure(source: TextSource) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hash of each document, and its bytes: some 16 bytes of memory a document."""
    hashes, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    label = f"sample of {source.name}"
    with bar(total=source.documents, desc=label, unit=" documents") as progress:
        for group in source.row_groups():
            table = read_columns(group, ["hash", "text"])
            hashes.append(table["hash"].to_numpy())
            sizes.append(pc.binary_length(table["text"]).to_numpy().astype(np.int64))
            progress.update(len(table))
    return np.concatenate(hashes), np.concatenate(sizes)


def paragraphs(sample: Sample, label: str) -> Iterator[str]:
    """Yield every paragraph of a sample, with a progress bar in bytes of text."""
    total = sum(part.text_bytes for part in sample)
    with bar(total=total, desc=label, unit="B", unit_scale=True) as progress:
        for part in sample:
            for text in part.texts():
                yield from paragraphs_of(text)
                progress.update(len(text.encode()))
