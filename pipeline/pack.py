"""The `pack` stage: text and a tokenizer in, a folder of shards out."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from pipeline.config import PackConfig
from pipeline.documents import RowGroup
from pipeline.encode import MEMORY, load_tokenizer
from pipeline.masks import MASK_PROBABILITY
from pipeline.shard_task import ShardTask, make_shard
from pipeline.stage import Outcome, finish, finished, run_parts, sole_writer
from pipeline.texts import TextSource, text_sources
from pipeline.vocabulary.special import read_names
from shards.errors import DataError
from shards.files import hash_file, write_atomically
from shards.format import ShardHeader
from shards.manifest import FileRecord, Manifest, library_versions, record_file

SHARD_BYTES = 256 << 20
"""Text in a shard of a large corpus."""
SMALL_CORPUS_SHARDS = 16
"""A corpus below SHARD_BYTES times this is divided into so many, to be worked on in parallel."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def pack(
    text: Path,
    tokenizer: Path,
    out: Path,
    config: PackConfig,
    workers: int,
    memory: int = MEMORY,
) -> Outcome:
    """Make a folder of shards.

    Args:
        text: Folder with a folder of documents for each source, as `fetch` writes them.
        tokenizer: Folder with tokenizer.json, as `tokenize` writes it.
        out: Folder to write.
        config: How documents become rows.
        workers: Processes.
        memory: Bytes that each of them may take; the result does not depend on it.

    Raises:
        DataError: Something is missing or broken, or `out` holds the result of another choice.
    """
    with sole_writer(out):
        return _pack(text, tokenizer, out, config, workers, memory)


def _pack(
    text: Path, tokenizer: Path, out: Path, config: PackConfig, workers: int, memory: int
) -> Outcome:
    sources = text_sources(text)
    header = _header(tokenizer, config)
    inputs = {source.name: source.manifest.fingerprint() for source in sources}
    inputs["tokenizer"] = header.tokenizer
    plan = Manifest(
        stage="pack",
        config=asdict(config),
        inputs=inputs,
        files={},
        versions=library_versions("tokenizers", "sentencex", "numpy", "pyarrow"),
    )
    if manifest := finished(out, plan.stage, plan.config, plan.inputs):
        return Outcome(manifest, was_finished=True)
    tasks = list(_tasks(sources, tokenizer / "tokenizer.json", out, header, config, memory))
    done = run_parts(out, plan, tasks, make_shard, workers)
    progress = tqdm(done, desc="pack", total=len(tasks), unit="part", disable=None)
    parts = [part for _, part in progress]
    files = _copy_tokenizer(tokenizer, out)
    for part in parts:
        files |= part.files
    if not any(name.startswith("train/") for name in files):
        remedy = "add text with `python cli.py fetch`, or lower --validation-fraction"
        raise DataError(f"{text} gives no training rows", remedy)
    counts = {
        "header": asdict(header),
        "sources": [{"name": s.name, "documents": s.documents} for s in sources],
        "encoder": sorted({part.counts["encoder"] for part in parts}),
        "balance": balance_by_source([part.counts for part in parts]),
    }
    manifest = replace(plan, files=files, counts=counts)
    finish(out, manifest)
    return Outcome(manifest, was_finished=False)


def _header(folder: Path, config: PackConfig) -> ShardHeader:
    path = folder / "tokenizer.json"
    remedy = "use a folder made by `python cli.py tokenize`"
    vocabulary = load_tokenizer(path).get_vocab()
    names = read_names(folder / "tokenizer_config.json")
    if missing := [token for token in names.values() if token not in vocabulary]:
        raise DataError(f"{path} has no token {missing[0]}", remedy)
    return ShardHeader(
        max_length=config.max_length,
        vocab_size=max(vocabulary.values()) + 1,
        mask_sets=config.mask_sets,
        mask_probability=MASK_PROBABILITY,
        pad_token_id=vocabulary[names["pad"]],
        unk_token_id=vocabulary[names["unk"]],
        cls_token_id=vocabulary[names["cls"]],
        sep_token_id=vocabulary[names["sep"]],
        mask_token_id=vocabulary[names["mask"]],
        tokenizer=hash_file(path),
    )


def _tasks(
    sources: list[TextSource],
    tokenizer: Path,
    out: Path,
    header: ShardHeader,
    config: PackConfig,
    memory: int,
) -> Iterator[ShardTask]:
    """Divide the sources into shards; a function of the text alone, not of the workers."""
    total = sum(source.text_bytes for source in sources)
    target = min(max(total // SMALL_CORPUS_SHARDS, 1), SHARD_BYTES)
    number = first_document = 0
    for source in sources:
        first_in_source = 0
        for groups, documents in _ranges(source, target):
            yield ShardTask(
                number=number,
                source=source.name,
                groups=groups,
                first_in_source=first_in_source,
                first_document=first_document,
                out=out,
                tokenizer=tokenizer,
                header=header,
                config=config,
                memory=memory,
            )
            number += 1
            first_in_source += documents
            first_document += documents


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


def _copy_tokenizer(folder: Path, out: Path) -> dict[str, FileRecord]:
    """Copy the tokenizer's files beside the shards, so that a run finds them there."""
    files = {}
    for name in TOKENIZER_FILES:
        target = out / "tokenizer" / name
        with (folder / name).open("rb") as source, write_atomically(target) as file:
            shutil.copyfileobj(source, file)
        files[f"tokenizer/{name}"] = record_file(target)
    return files


def balance_by_source(parts: list[dict[str, int | str]]) -> dict[str, dict[str, int]]:
    """Add up the counts of all parts, for each source and in all."""
    balance: dict[str, Counter[str]] = {}
    for part in parts:
        numbers = {name: value for name, value in part.items() if isinstance(value, int)}
        for name in (str(part["source"]), "all"):
            balance.setdefault(name, Counter()).update(numbers)
    balance["all"] = balance.pop("all")
    return {name: dict(counts) for name, counts in balance.items()}
