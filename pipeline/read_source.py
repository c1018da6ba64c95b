"""The documents of one source: divide its raw files, read them in parallel, and take stock."""

import platform
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.copies import copied_bytes, find_copies
from pipeline.downloads.arrivals import Arrivals
from pipeline.extract import Batch, extract, read_with
from pipeline.fetch_call import Fetch
from pipeline.inputs import STAMPS, fingerprint, hash_inputs, stamp_inputs
from pipeline.readers.parts import visible_files
from pipeline.sources import SOURCES
from pipeline.stage import Outcome, Part, finish, finished, forget_if_empty
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX
from shards.manifest import MANIFEST_NAME, Manifest, library_versions, read_manifest


def read_files(name: str, call: Fetch) -> Outcome:
    """Make documents of files that are there already."""
    out = call.out(name)
    plan = _plan(name, call)
    if call.source_path is None and not SOURCES[name].is_local:
        manifest = finished(out, plan.stage, plan.config, None)
        if manifest is not None:
            return Outcome(manifest, was_finished=True)
    files, others = _find(name, call)
    stamps = stamp_inputs(files)
    inputs = hash_inputs(files, stamps, read_manifest(out))
    if manifest := finished(out, plan.stage, plan.config, inputs):
        return Outcome(manifest, was_finished=True)
    batch = Batch(files, fingerprint(inputs))
    total = sum(file.stat().st_size for file in files.values())
    parts = _extract(name, call, plan, [batch], total, lambda _, __: None)
    if others:
        parts.append(Part(counts={"dropped: files of another kind": others}))
    plan = replace(plan, inputs=inputs, counts=plan.counts | {STAMPS: stamps})
    return _finish(name, call, plan, parts)


def read_downloads(name: str, call: Fetch, arrivals: Arrivals) -> Outcome:
    """Make documents of files as they arrive."""
    drop = arrivals.drop if call.drop_raw else lambda _, __: None
    plan = _plan(name, call)
    parts = _extract(name, call, plan, arrivals.batches(), arrivals.total_bytes, drop)
    came = {
        "addresses": {raw.name: raw.address for raw in arrivals.arrived},
        "not_published": [raw.name for raw in arrivals.arrived if not raw.is_published],
    }
    inputs = {raw.name: raw.blake3 for raw in arrivals.arrived}
    plan = replace(plan, inputs=inputs, counts=plan.counts | came)
    return _finish(name, call, plan, parts)


def _plan(name: str, call: Fetch) -> Manifest:
    """Return the manifest without inputs, files and counts."""
    source = SOURCES[name]
    libraries = read_with(source.reader).LIBRARIES
    return Manifest(
        stage="fetch",
        config=call.options(name),
        inputs={},
        files={},
        counts={"licence": source.licence, "cite": source.cite},
        versions={"python": platform.python_version(), **library_versions("pyarrow", *libraries)},
    )


def _extract(
    name: str,
    call: Fetch,
    plan: Manifest,
    batches: Iterable[Batch],
    total: int,
    done: Callable[[Batch, int], None],
) -> list[Part]:
    out = call.out(name)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    reader = SOURCES[name].reader
    try:
        return extract(out, plan, reader, batches, call.config, call.crew, total, done)
    except DataError:
        forget_if_empty(out)
        raise


def _find(name: str, call: Fetch) -> tuple[dict[str, Path], int]:
    """Return the raw files that are there already, and how many others are passed over.

    What `fetch` itself wrote is neither, where the data folder is within the files.
    """
    reader = read_with(SOURCES[name].reader)
    path = call.source_path
    if path is None or path.is_file():
        return reader.find(path or Path()), 0
    own = call.data.resolve()
    files = {file: place for file, place in visible_files(path).items()}
    if own.is_relative_to(path.resolve()):
        files = {file: one for file, one in files.items() if not one.resolve().is_relative_to(own)}
    found = {file: place for file, place in reader.find(path).items() if file in files}
    if not found:
        raise DataError(f"{path} holds nothing but {own}", "name files of your own in --from")
    return found, len(files) - len(found)


def _finish(name: str, call: Fetch, plan: Manifest, parts: list[Part]) -> Outcome:
    """Look for copies, remove what no part wrote, and write the manifest."""
    out = call.out(name)
    files = {file: record for part in parts for file, record in part.files.items()}
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    if not files:
        raise _empty(name, call, counts)
    for pattern in ("part-*.parquet", f"*{TEMPORARY_SUFFIX}"):
        for path in out.glob(pattern):
            if path.name not in files:
                path.unlink()
    copies = find_copies(out, files)
    if copies:
        number, size = sum(map(len, copies.values())), copied_bytes(out, copies)
        counts.update({"documents": -number, "text_bytes": -size})
        counts["dropped: copies of earlier documents"] += number
        counts["dropped: bytes of copies"] += size
    balance = _balance(counts) | {"copies": copies}
    manifest = replace(plan, files=files, counts=plan.counts | balance)
    finish(out, manifest)
    return Outcome(manifest, was_finished=False)


def _balance(counts: Counter[str]) -> dict[str, Any]:
    """Return the counts as the manifest keeps them: "dropped: WHY" becomes dropped[WHY]."""
    balance: dict[str, Any] = {"dropped": {}, "cleaned": {}}
    for name, number in sorted(counts.items()):
        kind, colon, what = name.partition(": ")
        if colon and number:
            balance[kind][what] = number
        elif not colon:
            balance[name] = number
    return balance


def _empty(name: str, call: Fetch, counts: Counter[str]) -> DataError:
    dropped = [
        f"{number:,} {what.removeprefix('dropped: ')}"
        for what, number in sorted(counts.items())
        if what.startswith("dropped: ") and number
    ]
    found = ", ".join(dropped) or "it is empty"
    problem = f"{call.source_path or name} gives no document ({found})"
    return DataError(problem, "name a file or folder that holds text in --from")
