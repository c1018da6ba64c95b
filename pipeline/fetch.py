"""`fetch`: a source's raw files, from the network or a person's disk, become clean documents.

Downloads go to `data/raw/SOURCE`, documents to `data/text/SOURCE`; the tasks of GLUE go to
`data/glue` and ready vocabularies to `data/vocab`.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.config import FetchConfig
from pipeline.copies import copied_bytes, find_copies
from pipeline.downloads.arrivals import Arrivals
from pipeline.downloads.downloader import Downloader
from pipeline.extract import Batch, extract, read_with
from pipeline.inputs import STAMPS, count_others, fingerprint, hash_inputs, stamp_inputs
from pipeline.readers.glue import unpack_glue
from pipeline.sources import SOURCES
from pipeline.stage import Outcome, Part, finish, finished
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX
from shards.manifest import MANIFEST_NAME, Manifest, library_versions, read_manifest, record_file

OWN_OPTIONS = {"wikipedia": ("language", "date"), "text": ("text_field",)}
"""Options that change one source only."""


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """One call of `fetch`.

    Attributes:
        data: The folder that holds raw/, text/, glue/ and vocab/.
        config: What is fetched, and how it is read.
        workers: Processes that read; they change no byte of the result.
        source_path: Files that a person has already, instead of a download.
        base_url: A mirror of one's own: a folder or server with the tree HOST/PATH.
        offline: Use what is there; never the network.
        drop_raw: Remove each downloaded file once its parts are on disk.
        warn: Shows a person one line.
    """

    data: Path
    config: FetchConfig
    workers: int
    source_path: Path | None = None
    base_url: str | None = None
    offline: bool = False
    drop_raw: bool = False
    warn: Callable[[str], None]


def fetch(sources: Iterable[str], call: Fetch) -> Iterator[tuple[str, Outcome]]:
    """Fetch each source; yield its name and what was made. One that fails does not stop others.

    Args:
        sources: Names in SOURCES.
        call: The rest.

    Raises:
        DataError: A source has failed, each with its reason: no address serves it, or its files
            are missing, damaged or of the wrong kind, or give no document.
    """
    failures: list[DataError] = []
    with Downloader(base_url=call.base_url, offline=call.offline, warn=call.warn) as downloader:
        started = [(name, _start(name, call, downloader, failures)) for name in sources]
        for name, arrivals in started:
            if arrivals is not None:
                try:
                    outcome = _fetch_one(name, call, arrivals)
                except DataError as error:
                    failures.append(error)
                else:
                    yield name, outcome
    if len(failures) == 1:
        raise failures[0]
    if failures:
        problem = "\n".join(f"- {failure}" for failure in failures)
        raise DataError(f"{len(failures)} sources failed:\n{problem}\n", "fetch them again")


def _start(
    name: str, call: Fetch, downloader: Downloader, failures: list[DataError]
) -> Arrivals | None:
    """Check a source and begin its downloads; None where that has failed already."""
    try:
        _check(name, call)
        arrivals = Arrivals(name, call.config, call.data, downloader)
        if call.source_path is None and not SOURCES[name].is_local and not _stands(name, call):
            arrivals.start()
    except DataError as error:
        failures.append(error)
        return None
    return arrivals


def _check(name: str, call: Fetch) -> None:
    path = call.source_path
    if name not in SOURCES:
        raise ValueError(f"no source {name!r}: choose from {', '.join(SOURCES)}")
    if path is None:
        if name == "text":
            remedy = "name your file or folder: `python cli.py fetch text --from PATH`"
            raise DataError("the source text is a person's own files", remedy)
    elif name in ("docstrings", "vocab"):
        raise DataError(f"{name} is not read from a file", f"leave --from {path} out")
    elif not path.exists():
        raise DataError(f"there is no {path}", "name an existing file or folder in --from")


def _stands(name: str, call: Fetch) -> bool:
    """Return whether a download is not needed, because its documents are there."""
    if name == "vocab":
        return False
    if name == "glue":
        manifest = read_manifest(call.data / "glue")
        return manifest is not None and not manifest.counts["absent"]
    return finished(_out(name, call), "fetch", _options(name, call), None) is not None


def _fetch_one(name: str, call: Fetch, arrivals: Arrivals) -> Outcome:
    if name == "vocab":
        return _fetch_vocabularies(arrivals)
    if name == "glue":
        return _fetch_glue(call, arrivals)
    if arrivals.is_started:
        return _extract_downloads(name, call, arrivals)
    return _extract_local(name, call)


def _fetch_vocabularies(arrivals: Arrivals) -> Outcome:
    """Wait for the vocabularies, which are used as they are."""
    found = arrivals.wait_for_all()
    inputs = {raw.name: raw.blake3 for raw in found}
    if manifest := finished(arrivals.folder, "vocab", {}, inputs):
        return Outcome(manifest, was_finished=True)
    files = {raw.name: record_file(raw.path) for raw in found}
    manifest = Manifest(stage="vocab", config={}, inputs=inputs, files=files)
    manifest.write(arrivals.folder)
    return Outcome(manifest, was_finished=False)


def _fetch_glue(call: Fetch, arrivals: Arrivals) -> Outcome:
    """Unpack the tasks of GLUE from a person's files, or from the downloads."""
    if call.source_path is None and arrivals.is_started:
        arrivals.wait_for_all()
    outcome = unpack_glue(call.source_path or arrivals.folder, call.data / "glue")
    if call.drop_raw:
        arrivals.drop_all()
    return outcome


def _out(name: str, call: Fetch) -> Path:
    return call.data / "text" / name


def _options(name: str, call: Fetch) -> dict[str, Any]:
    """Return the options that decide what the documents of this source are."""
    chosen = ("limit", "max_member_size", *OWN_OPTIONS.get(name, ()))
    return {"source": name, **{option: getattr(call.config, option) for option in chosen}}


def _plan(name: str, call: Fetch) -> Manifest:
    """Return the manifest without inputs, files and counts."""
    source = SOURCES[name]
    libraries = read_with(source.reader).LIBRARIES
    return Manifest(
        stage="fetch",
        config=_options(name, call),
        inputs={},
        files={},
        counts={"licence": source.licence, "cite": source.cite},
        versions={"python": platform.python_version(), **library_versions("pyarrow", *libraries)},
    )


def _extract_local(name: str, call: Fetch) -> Outcome:
    """Make documents of files that are there already."""
    out = _out(name, call)
    plan = _plan(name, call)
    if call.source_path is None and (manifest := finished(out, plan.stage, plan.config, None)):
        return Outcome(manifest, was_finished=True)
    files = read_with(SOURCES[name].reader).find(call.source_path or Path())
    stamps = stamp_inputs(files)
    inputs = hash_inputs(files, stamps, read_manifest(out))
    if manifest := finished(out, plan.stage, plan.config, inputs):
        return Outcome(manifest, was_finished=True)
    batch = Batch(files, fingerprint(inputs))
    total = sum(file.stat().st_size for file in files.values())
    parts = _extract(name, call, plan, [batch], total, lambda _, __: None)
    if call.source_path is not None and (others := count_others(call.source_path, files)):
        parts.append(Part(counts={"dropped: files of another kind": others}))
    plan = replace(plan, inputs=inputs, counts=plan.counts | {STAMPS: stamps})
    return _finish(name, call, plan, parts)


def _extract_downloads(name: str, call: Fetch, arrivals: Arrivals) -> Outcome:
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
    outcome = _finish(name, call, plan, parts)
    if call.drop_raw:
        arrivals.drop_all()
    return outcome


def _extract(
    name: str,
    call: Fetch,
    plan: Manifest,
    batches: Iterable[Batch],
    total: int,
    done: Callable[[Batch, int], None],
) -> list[Part]:
    out = _out(name, call)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    reader = SOURCES[name].reader
    return extract(out, plan, reader, batches, call.config, call.workers, total, done)


def _finish(name: str, call: Fetch, plan: Manifest, parts: list[Part]) -> Outcome:
    """Look for copies, remove what no part wrote, and write the manifest."""
    out = _out(name, call)
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
