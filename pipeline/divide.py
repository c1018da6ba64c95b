"""What `pack` has to do: the text divided into tasks of one shard each, before any work is done."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from pipeline.config import PackConfig
from pipeline.documents import RowGroup
from pipeline.encode import load_tokenizer
from pipeline.shard_task import ShardTask
from pipeline.texts import TextSource, text_sources
from pipeline.vocabulary.special import read_names, typed_specials
from shards.errors import DataError
from shards.files import hash_file
from shards.format import ShardHeader
from shards.manifest import MANIFEST_NAME, read_manifest

SHARD_BYTES = 48 << 20
"""Text in a shard of a large corpus: its rows take about 40 MB for each length."""
SMALL_CORPUS_SHARDS = 16
"""A corpus below SHARD_BYTES times this is divided into so many, to be worked on in parallel."""


@dataclass(frozen=True)
class Work:
    """All that there is to pack.

    Attributes:
        sources: Where the text is.
        common: What all tasks have in common.
    """

    sources: list[TextSource]
    common: ShardTask

    def tasks(self) -> list[ShardTask]:
        """Return a task for each shard, in order; this reads the footers of all parts.

        Raises:
            DataError: One is broken.
        """
        pieces = _pieces(self.sources, self.common.config)
        return [replace(self.common, **piece) for piece in pieces]


def divide(text: Path, tokenizer: Path, out: Path, config: PackConfig, memory: int) -> Work:
    """Return what is to be done; see `pipeline.pack.pack` for the arguments.

    Raises:
        DataError: The text or the tokenizer is missing or broken.
    """
    sources = text_sources(text)
    _check_weights(text, sources, config)
    header, typed = _header(tokenizer, config)
    common = ShardTask(
        out=out,
        tokenizer=tokenizer / "tokenizer.json",
        header=header,
        typed=typed,
        config=config,
        memory=memory,
    )
    return Work(sources, common)


def _header(folder: Path, config: PackConfig) -> tuple[ShardHeader, tuple[int, ...]]:
    """Return the header of the first length, and the special ids that typed text may become."""
    path = folder / "tokenizer.json"
    remedy = "use a folder made by `python cli.py tokenize`"
    if folder.is_file():
        raise DataError(f"{folder} is a file", "give the folder that holds it (--tokenizer)")
    manifest = read_manifest(folder)
    if manifest and (changed := manifest.damaged(folder)):
        undo = f"run `tokenize` again, or delete {folder / MANIFEST_NAME} to use it as it is"
        raise DataError(f"{folder / changed[0]} is not what `tokenize` wrote", undo)
    tokenizer = load_tokenizer(path)
    vocabulary = tokenizer.get_vocab()
    names = read_names(folder / "tokenizer_config.json")
    if missing := [token for token in names.values() if token not in vocabulary]:
        raise DataError(f"{path} has no token {missing[0]}", remedy)
    header = ShardHeader(
        layout=config.layout,
        max_length=config.max_length[0],
        vocab_size=max(vocabulary.values()) + 1,
        mask_sets=config.mask_sets or 0,
        mask_probability=config.mask_probability,
        tokenizer=hash_file(path),
        **{f"{role}_token_id": vocabulary[name] for role, name in names.items()},
    )
    return header, tuple(vocabulary[name] for name in typed_specials(tokenizer, names))


def _check_weights(text: Path, sources: list[TextSource], config: PackConfig) -> None:
    names = [source.name for source in sources]
    for name, _ in config.weights:
        if name not in names:
            remedy = f"give one of {', '.join(names)} in --weights"
            raise DataError(f"{text} has no source {name}", remedy)


def _pieces(sources: list[TextSource], config: PackConfig) -> Iterator[dict[str, Any]]:
    """Divide the sources into shards; a function of the text alone, not of the workers."""
    total = sum(source.text_bytes for source in sources)
    target = min(max(total // SMALL_CORPUS_SHARDS, 1), SHARD_BYTES)
    weights = dict(config.weights)
    number = first_document = 0
    for source in sources:
        weight = weights.get(source.name, 1.0)
        ranges = list(_ranges(source, target))
        for repetition in range(ceil(weight)):
            first_in_source = 0
            for groups, documents in ranges:
                yield {
                    "number": number,
                    "source": source.name,
                    "repetition": repetition,
                    "share": min(1.0, weight - repetition),
                    "groups": groups,
                    "first_in_source": first_in_source,
                    "first_document": first_document + first_in_source,
                }
                number += 1
                first_in_source += documents
        first_document += source.documents


def _ranges(source: TextSource, target: int) -> Iterator[tuple[tuple[RowGroup, ...], int]]:
    """Yield runs of row groups of at least `target` bytes of text, with their document counts."""
    run: list[RowGroup] = []
    size = documents = 0
    for group in source.row_groups():
        run.append(group)
        size += group.text_bytes
        documents += group.documents
        if size >= target:
            yield tuple(run), documents
            run, size, documents = [], 0, 0
    if run:
        yield tuple(run), documents
