"""One shard's work: a fixed range of documents in, a train and a validation file out.

The result is a pure function of the documents, the tokenizer and the configuration, so shards can
be made in any order, in any process, and made again.
"""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.choose import SPLITS, Chosen, choose
from pipeline.config import PackConfig
from pipeline.documents import RowGroup, read_texts
from pipeline.draws import document_keys
from pipeline.encode import EncodedDocuments, Encoder, load_tokenizer
from pipeline.held_rows import HeldRows, Kind, few_rows
from pipeline.layouts import RowMaker, encode_for, row_maker
from pipeline.stage import Part
from pipeline.stream import first_length
from pipeline.words.spelling import EVERY_PIECE, Dropout
from shards.errors import DataError
from shards.files import hash_file
from shards.format import Rows, ShardHeader
from shards.manifest import FileRecord

RESERVED_BYTES = 480_000_000
"""Of a process, for all but its table of words: Python and its libraries take 260 MB, and twice
`HELD_BYTES` are the rows of a shard while they are put in order."""
GROWING_TABLE = 1.7
"""What the table of words takes while it grows, the old one beside the new, of what it is given."""


@dataclass(frozen=True)
class ShardTask:
    """What one shard is made of.

    Attributes:
        out: Folder of shards.
        tokenizer: Path of the tokenizer.json.
        header: The header of all shards; `max_length` is that of the configuration's first.
        typed: Special ids that the tokenizer makes of typed text; they become unknown.
        config: The configuration.
        memory: Bytes that the process may take; the result does not depend on it.
        number: Number of the shard.
        source: Name of the source that all its documents come from.
        repetition: 0 where the source is packed for the first time, 1 for the second, ...
        share: Part of the documents that this repetition takes, by their hash.
        groups: Where the documents are.
        parts: The files that hold them, as `fetch` wrote them: a task may be done late, and on a
            machine that has other files under these paths.
        first_in_source: Number of the first document in its source; keys the random draws.
        first_document: Number of the first document among all inputs.
    """

    out: Path
    tokenizer: Path
    header: ShardHeader
    typed: tuple[int, ...]
    config: PackConfig
    memory: int
    number: int = 0
    source: str = ""
    repetition: int = 0
    share: float = 1.0
    groups: tuple[RowGroup, ...] = ()
    parts: tuple[tuple[Path, FileRecord], ...] = ()
    first_in_source: int = 0
    first_document: int = 0

    @property
    def name(self) -> str:
        """Name the shard's files."""
        return f"part-{self.number:05d}"


def make_shard(task: ShardTask) -> Part:
    """Write the shard's train and validation files; a split without rows gets none.

    Raises:
        DataError: The tokenizer or the text is not what the task was planned with.
    """
    for path, record in task.parts:
        if not record.stands(path):
            raise _other_file(path)
    counts: Counter[str] = Counter()
    held = HeldRows(task.out, task.name, task.header, (task.config.seed, task.number))
    for (split, length), rows in rows_of(task, counts):
        held.add((split, length), rows)
        counts[f"{length}/{split}_rows"] += len(rows)
    files = held.write_all()
    encoder = _encoder(task.tokenizer, task.header.tokenizer, task.memory)
    return Part(files, {"source": task.source, "encoder": encoder.path, **counts})


def rows_of(task: ShardTask, counts: Counter[str]) -> Iterator[tuple[Kind, Rows]]:
    """Yield the rows of a task as they are made; `counts` gains lines of the balance sheet."""
    encoder = _encoder(task.tokenizer, task.header.tokenizer, task.memory)
    makers = {
        (split, length): _row_maker(task, length)
        for split in SPLITS
        for length in task.config.max_length
    }
    for split, chosen in _blocks(task, counts):
        is_held_out = split == "validation"
        dropout = EVERY_PIECE if is_held_out else Dropout(task.config.subword_dropout, chosen.keys)
        encoded = _encode(task, encoder, chosen.texts, dropout, counts)
        for length in task.config.max_length:
            maker = makers[split, length]
            for some, which in few_rows(encoded, maker.header):
                made = maker.make(some, chosen.keys[which], chosen.numbers[which])
                yield (split, length), made
    for (split, length), maker in makers.items():
        if (rest := maker.rest()) is not None:
            yield (split, length), rest
        counts.update({f"{length}/{name}": number for name, number in maker.counts.items()})


def _row_maker(task: ShardTask, max_length: int) -> RowMaker:
    """Return what makes the rows of a length."""
    seed, first = task.config.seed, task.first_in_source
    key = document_keys(seed, task.source, first, 1, task.repetition)
    header = replace(task.header, max_length=max_length)
    return row_maker(header, task.config, first_length(max_length, key, task.repetition))


@lru_cache(maxsize=1)
def _encoder(path: Path, content: str, memory: int) -> Encoder:
    """Return the encoder of this process, which keeps the words that it knows from task to task.

    Args:
        path: The tokenizer.json.
        content: Its hash: another tokenizer may come to lie at the same place.
        memory: Bytes.
    """
    if path.is_file() and hash_file(path) != content:
        raise _other_file(path)
    table = max(0.0, memory - RESERVED_BYTES) / GROWING_TABLE
    return Encoder(load_tokenizer(path), round(2 * table))  # it gives half to the table


def _other_file(path: Path) -> DataError:
    remedy = "have all machines see the same files, and run `python cli.py pack` again"
    return DataError(f"{socket.gethostname()} has another {path} than this pack began with", remedy)


def _blocks(task: ShardTask, counts: Counter[str]) -> Iterator[tuple[str, Chosen]]:
    """Yield the documents of each row group, those of each split apart."""
    config = task.config
    rule = (config.seed, config.validation_fraction, task.repetition, task.share)
    first = 0
    for group in task.groups:
        texts = read_texts(group)
        number = task.first_in_source + first
        keys = document_keys(config.seed, task.source, number, len(texts), task.repetition)
        chosen = choose(texts, keys, task.first_document + first, rule, counts)
        first += len(texts)
        yield from ((split, some) for split, some in chosen.items() if some.texts)


def _encode(
    task: ShardTask, encoder: Encoder, texts: list[str], dropout: Dropout, counts: Counter[str]
) -> EncodedDocuments:
    """Tokenize documents, without those that are too short, and count what there is."""
    config, unknown = task.config, task.header.unk_token_id
    encoded = encode_for(config, encoder, texts, dropout)
    if task.typed:
        is_typed = np.isin(encoded.input_ids, task.typed)
        counts["typed_specials"] += int(is_typed.sum())
        encoded.input_ids[is_typed] = unknown
    lengths = np.diff(encoded.sentences[encoded.documents])
    is_short = lengths < config.min_document_tokens
    counts.update(
        text_bytes=sum(len(text.encode()) for text in texts),
        empty_documents=int((lengths == 0).sum()),
        short_documents=int(is_short.sum()),
        short_tokens=int(lengths[is_short].sum()),
        sentences=len(encoded.sentences) - 1,
        tokens=len(encoded.input_ids),
        unknown_tokens=int((encoded.input_ids == unknown).sum()),
    )
    return encoded.without(is_short) if is_short.any() else encoded
