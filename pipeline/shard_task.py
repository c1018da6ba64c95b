"""One shard's work: a fixed range of documents in, a train and a validation file out.

The result is a pure function of the documents, the tokenizer and the configuration, so shards can
be made in any order, in any process, and made again.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from pipeline.chunks import NO_CUT, PAIR_SPECIALS, SINGLE_SPECIALS, Chunks, make_chunks
from pipeline.config import PackConfig
from pipeline.documents import RowGroup, read_texts
from pipeline.draws import document_keys
from pipeline.encode import EncodedDocuments, Encoder, encode_documents, load_tokenizer
from pipeline.rows import NgramCounts, make_rows
from pipeline.stage import Part
from shards.format import NO_LABEL, Rows, ShardHeader, concatenate
from shards.manifest import FileRecord
from shards.writer import write_shard


@dataclass(frozen=True)
class ShardTask:
    """What one shard is made of.

    Attributes:
        number: Number of the shard.
        source: Name of the source that all its documents come from.
        groups: Where the documents are.
        first_in_source: Number of the first document in its source; keys the random draws.
        first_document: Number of the first document among all inputs.
        out: Folder of shards.
        tokenizer: Path of the tokenizer.json.
        header: The header of all shards.
        config: The configuration.
        memory: Bytes that the process may take; the result does not depend on it.
    """

    number: int
    source: str
    groups: tuple[RowGroup, ...]
    first_in_source: int
    first_document: int
    out: Path
    tokenizer: Path
    header: ShardHeader
    config: PackConfig
    memory: int

    @property
    def name(self) -> str:
        """Name the shard's files."""
        return f"part-{self.number:05d}"


def make_shard(task: ShardTask) -> Part:
    """Write the shard's train and validation files; a split without rows gets none."""
    encoder = _encoder(task.tokenizer, task.header.tokenizer, task.memory)
    counts: Counter[str] = Counter()
    splits: dict[str, list[Rows]] = {"train": [], "validation": []}
    for texts, first in _blocks(task):
        is_validation = _held_out(texts, task.config)
        rows = _make_block(task, encoder, texts, first, counts)
        counts["documents"] += len(texts)
        counts["validation_documents"] += int(is_validation.sum())
        held_out = is_validation[rows.document - np.uint32(task.first_document + first)]
        splits["train"].append(rows.take(~held_out))
        splits["validation"].append(rows.take(held_out))
    files = {}
    for split, blocks in splits.items():
        rows = concatenate(blocks)
        if len(rows):
            name = f"{split}/{task.header.max_length}/{task.name}.arrow"
            files[name] = _write_shuffled(task, name, rows)
            counts[f"{split}_rows"] = len(rows)
    return Part(files, {"source": task.source, "encoder": encoder.path, **counts})


@lru_cache(maxsize=1)
def _encoder(path: Path, content: str, memory: int) -> Encoder:
    """Return the encoder of this process, which keeps the words that it knows from task to task.

    Args:
        path: The tokenizer.json.
        content: Its hash: another tokenizer may come to lie at the same place.
        memory: Bytes.
    """
    return Encoder(load_tokenizer(path), memory)


def _blocks(task: ShardTask) -> Iterator[tuple[list[str], int]]:
    """Yield the texts of each row group and the number of the first, counted in the shard."""
    first = 0
    for group in task.groups:
        texts = read_texts(group)
        yield texts, first
        first += len(texts)


def _make_block(
    task: ShardTask, encoder: Encoder, texts: list[str], first: int, counts: Counter[str]
) -> Rows:
    encoded = encode_documents(encoder, texts)
    keys = document_keys(task.config.seed, task.source, task.first_in_source + first, len(texts))
    chunks = make_chunks(encoded, keys, task.header.max_length)
    rows, ngrams = make_rows(encoded, chunks, keys, task.header, task.first_document + first)
    counts["text_bytes"] += sum(len(text.encode()) for text in texts)
    counts.update(_count(encoded, chunks, rows, ngrams, task.header))
    return rows


def _held_out(texts: list[str], config: PackConfig) -> NDArray[np.bool_]:
    """Choose validation documents by the hash of their text, so that equal texts stay together."""
    key = config.seed.to_bytes(8, "little").ljust(32, b"\0")
    digests = [blake3(text.encode(), key=key).digest(8) for text in texts]
    fractions = np.array([int.from_bytes(digest, "little") for digest in digests]) / 2.0**64
    held_out: NDArray[np.bool_] = fractions < config.validation_fraction
    return held_out


def _write_shuffled(task: ShardTask, name: str, rows: Rows) -> FileRecord:
    generator = np.random.Generator(np.random.Philox(key=[task.config.seed, task.number]))
    shuffled = rows.take(generator.permutation(len(rows)))
    return write_shard(task.out / name, task.header, shuffled)


def _count(
    encoded: EncodedDocuments, chunks: Chunks, rows: Rows, ngrams: NgramCounts, header: ShardHeader
) -> dict[str, int]:
    """Return the block's line of the balance sheet, taken from the rows that were made."""
    pairs = rows.sentence_order_label != NO_LABEL
    specials = np.where(pairs, PAIR_SPECIALS, SINGLE_SPECIALS)
    covered = np.unpackbits(rows.masks).sum(dtype=np.int64)
    counts = {
        "empty_documents": int((np.diff(encoded.documents) == 0).sum()),
        "sentences": len(encoded.sentences) - 1,
        "tokens": len(encoded.input_ids),
        "tokens_kept": int((rows.length - specials).sum(dtype=np.int64)),
        "unknown_tokens": int((encoded.input_ids == header.unk_token_id).sum()),
        "rows": len(rows),
        "rows_pair": int(pairs.sum()),
        "rows_swapped": int((rows.sentence_order_label == 1).sum()),
        "rows_piece": int(chunks.is_piece.sum()),
        "rows_single": int(((chunks.cut == NO_CUT) & ~chunks.is_piece).sum()),
        "real_tokens": int(rows.length.sum(dtype=np.int64)),
        "masked_tokens": int(covered),
    }
    for n, (drawn, placed) in enumerate(zip(ngrams.drawn, ngrams.placed, strict=True), start=1):
        counts[f"ngrams_drawn_{n}"] = int(drawn)
        counts[f"ngrams_placed_{n}"] = int(placed)
    return counts
