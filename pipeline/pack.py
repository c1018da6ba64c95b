"""The `pack` stage: text and a tokenizer in, a folder of shards out."""

import shutil
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.bar import bar
from pipeline.config import PackConfig
from pipeline.disk import check_disk
from pipeline.divide import Work, divide
from pipeline.encode import MEMORY
from pipeline.executors import PROCESSES, Crew
from pipeline.shard_task import ShardTask, make_shard
from pipeline.stage import (
    UNFINISHED,
    Outcome,
    check_is_own,
    finish,
    finished,
    run_parts,
    sole_writer,
)
from shards.errors import DataError
from shards.files import write_atomically
from shards.manifest import FileRecord, Manifest, library_versions, record_file

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def pack(
    text: Path,
    tokenizer: Path,
    out: Path,
    config: PackConfig,
    workers: int,
    memory: int = MEMORY,
    executor: str = PROCESSES,
) -> Outcome:
    """Make a folder of shards.

    Args:
        text: Folder with a folder of documents for each source, as `fetch` writes them.
        tokenizer: Folder with tokenizer.json, as `tokenize` writes it.
        out: Folder to write.
        config: How documents become rows.
        workers: Processes.
        memory: Bytes that each of them may take; the result does not depend on it.
        executor: Who works instead of them, if not PROCESSES: see `pipeline.executors.Crew`.

    Raises:
        DataError: Something is missing or broken, or `out` holds the result of another choice.
    """
    crew = Crew(workers, executor)
    text, tokenizer, out = map(crew.path, (text, tokenizer, out))
    check_is_own(out)
    with sole_writer(out):
        return _pack(text, tokenizer, out, config, crew, memory)


def _pack(
    text: Path, tokenizer: Path, out: Path, config: PackConfig, crew: Crew, memory: int
) -> Outcome:
    work = divide(text, tokenizer, out, config, memory)
    header = work.common.header
    inputs = {source.name: source.manifest.fingerprint() for source in work.sources}
    inputs["tokenizer"] = header.tokenizer
    plan = Manifest(
        stage="pack",
        config=config.plain(),
        inputs=inputs,
        files={},
        versions=library_versions("tokenizers", "sentencex", "numpy", "pyarrow"),
    )
    if manifest := finished(out, plan.stage, plan.config, plan.inputs):
        return Outcome(manifest, was_finished=True)
    tasks = _with_records(work)
    check_disk(out, tasks)
    done = run_parts(out, plan, tasks, make_shard, crew)
    progress = bar(iterable=done, desc="pack", total=len(tasks), unit="part")
    parts = [part for _, part in progress]
    files = {name: record for part in parts for name, record in part.files.items()}
    if not any(name.startswith("train/") for name in files):
        for made in (UNFINISHED, "validation"):  # so that another choice may use the folder
            shutil.rmtree(out / made, ignore_errors=True)
        remedy = (
            "add text with `python cli.py fetch`, or lower --validation-fraction or "
            "--min-document-tokens"
        )
        raise DataError(f"{text} gives no training rows", remedy)
    files = _copy_tokenizer(tokenizer, out) | files
    counts = {
        "header": asdict(header),
        "max_lengths": list(config.max_length),
        "sources": [{"name": s.name, "documents": s.documents} for s in work.sources],
        "encoder": sorted({part.counts["encoder"] for part in parts}),
        "balance": balance_by_source([part.counts for part in parts]),
    }
    manifest = replace(plan, files=files, counts=counts)
    finish(out, manifest)
    return Outcome(manifest, was_finished=False)


def _with_records(work: Work) -> list[ShardTask]:
    """Return the tasks, each with the records of the files that it reads."""
    records = {
        source.folder / name: record
        for source in work.sources
        for name, record in source.manifest.files.items()
    }
    paths = [(task, dict.fromkeys(group.path for group in task.groups)) for task in work.tasks()]
    return [
        replace(task, parts=tuple((path, records[path]) for path in read)) for task, read in paths
    ]


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
