"""`fetch`: sources of text from the network or a person's disk, as clean documents.

Downloads go to `data/raw/SOURCE`, documents to `data/text/SOURCE`; the tasks of GLUE go to
`data/glue` and ready vocabularies to `data/vocab`.
"""

from collections.abc import Iterator
from contextlib import ExitStack

from pipeline.downloads.arrivals import Arrivals
from pipeline.downloads.downloader import Downloader
from pipeline.fetch_call import Fetch
from pipeline.read_source import read_downloads, read_files
from pipeline.readers.glue import unpack_glue
from pipeline.sources import SOURCES
from pipeline.stage import Outcome, finished, sole_writer
from shards.errors import DataError
from shards.manifest import Manifest, read_manifest, record_file


def fetch(call: Fetch) -> Iterator[tuple[str, Outcome]]:
    """Fetch each source; yield its name and what was made. One that fails does not stop others.

    Raises:
        DataError: A source has failed: no address serves it, or its files are missing, damaged or
            of the wrong kind, or give no document. Of several sources each is told when it fails.
    """
    call = call.everywhere()
    failures: dict[str, DataError] = {}
    with ExitStack() as stack:
        for name in call.sources:
            stack.enter_context(sole_writer(call.out(name)))
        downloader = stack.enter_context(
            Downloader(base_url=call.base_url, offline=call.offline, warn=call.warn)
        )
        started = {name: _start(name, call, downloader, failures) for name in call.sources}
        for name, arrivals in started.items():
            if arrivals is None:
                continue
            try:
                outcome = _fetch_one(name, call, arrivals)
            except DataError as error:
                arrivals.abandon()
                _note(failures, name, error, call)
            else:
                yield name, outcome
    if failures:
        first = next(iter(failures.values()))
        if len(call.sources) == 1:
            raise first
        raise DataError(f"{', '.join(failures)} failed", "see above, mend it and run this again")


def _note(failures: dict[str, DataError], name: str, error: DataError, call: Fetch) -> None:
    failures[name] = error
    if len(call.sources) > 1:
        call.warn(f"{name}: {error}")


def _start(
    name: str, call: Fetch, downloader: Downloader, failures: dict[str, DataError]
) -> Arrivals | None:
    """Check a source and begin its downloads; None where that has failed already."""
    arrivals = Arrivals(name, call.config, call.data, downloader)
    try:
        if call.source_path is not None and not call.source_path.exists():
            problem = f"there is no {call.source_path}"
            raise DataError(problem, "name an existing file or folder in --from")
        if call.source_path is None and not SOURCES[name].is_local and not _stands(name, call):
            arrivals.start()
    except DataError as error:
        arrivals.abandon()
        _note(failures, name, error, call)
        return None
    return arrivals


def _stands(name: str, call: Fetch) -> bool:
    """Return whether a download is not needed, because what is made of it is there."""
    if name == "vocab":
        return False
    out = call.out(name)
    if name == "glue":
        manifest = read_manifest(out)
        return bool(manifest and not manifest.counts["absent"] and not manifest.damaged(out))
    manifest = finished(out, "fetch", call.options(name), None)
    if manifest is not None and "addresses" not in manifest.counts:
        problem = f"{out} was made from your own files ({', '.join(manifest.inputs)})"
        raise DataError(problem, "delete it to download the source, or give --from again")
    return manifest is not None


def _fetch_one(name: str, call: Fetch, arrivals: Arrivals) -> Outcome:
    if name == "vocab":
        return _fetch_vocabularies(arrivals)
    if name == "glue":
        outcome = _fetch_glue(call, arrivals)
    elif arrivals.is_started:
        outcome = read_downloads(name, call, arrivals)
    else:
        outcome = read_files(name, call)
    if call.drop_raw:
        arrivals.drop_all()
    return outcome


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
    out = call.out("glue")
    if call.source_path is not None:
        return unpack_glue(call.source_path, out)
    if not arrivals.is_started and (manifest := read_manifest(out)):
        return Outcome(manifest, was_finished=True)
    arrivals.wait_for_all()
    return unpack_glue(arrivals.folder, out)
