"""`fetch`: turn a source's raw files into clean documents under `data/text/SOURCE`."""

import platform
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from pipeline.documents import Document, DocumentWriter
from pipeline.inputs import STAMPS, hash_inputs, stamp_inputs
from pipeline.sources import SOURCES
from pipeline.stage import Outcome, finished
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX
from shards.manifest import MANIFEST_NAME, Manifest, library_versions, read_manifest

ADDRESSES = {
    "wikipedia": "https://dumps.wikimedia.org/enwiki/latest/enwiki-latest-pages-articles.xml.bz2",
    "gutenberg": "https://drive.google.com/uc?id=0B2Mzhc7popBga2RkcWZNcjlRTGM",
    "openwebtext": "https://zenodo.org/record/3834942/files/openwebtext.tar.xz",
}
"""Where a person downloads each source by hand."""


class TextSource(Protocol):
    """What a module of `pipeline.sources` offers."""

    LIBRARIES: tuple[str, ...]

    def input_files(self, path: Path | None) -> dict[str, Path]:
        """Return the raw files by name, in order; a DataError if they are missing."""

    def documents(
        self, path: Path | None, counts: Counter[str], workers: int
    ) -> Generator[Document, None, None]:
        """Yield clean documents and count what is dropped."""


def fetch(
    source: str, *, source_path: Path | None, data: Path, limit: int | None, workers: int
) -> Outcome:
    """Write `data/text/SOURCE/part-NNNNN.parquet` and its manifest, unless they are there already.

    Args:
        source: A name in SOURCES.
        source_path: The raw file or folder; only `docstrings` goes without.
        data: The folder that holds text/SOURCE (and glue/).
        limit: Stop after about so many bytes of text; the last document is whole.
        workers: Processes that clean text; they change no byte of the result.

    Raises:
        DataError: The raw files are missing, damaged or of the wrong kind, or give no document.
    """
    _check(source, source_path)
    if source == "glue":
        from pipeline.sources.glue import unpack_glue

        return unpack_glue(source_path, data / "glue")
    module: TextSource = import_module(f"pipeline.sources.{source}")
    out = data / "text" / source
    files = module.input_files(source_path)
    plan = _plan(source, limit, files, module.LIBRARIES, read_manifest(out))
    manifest = finished(out, plan.stage, plan.config, plan.inputs)
    if manifest is not None:
        return Outcome(manifest, was_finished=True)
    remove_unfinished(out)
    counts: Counter[str] = Counter()
    total = sum(file.stat().st_size for file in files.values())
    with closing(module.documents(source_path, counts, workers)) as documents:
        writer = _write_all(documents, out, counts, limit, total)
    if not writer.documents:
        raise _empty(source, source_path, counts)
    manifest = replace(plan, files=writer.files, counts=plan.counts | _balance(writer, counts))
    manifest.write(out)
    return Outcome(manifest, was_finished=False)


def remove_unfinished(out: Path) -> None:
    """Delete what an interrupted or damaged earlier fetch left in `out`."""
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    for pattern in ("part-*.parquet", f"*{TEMPORARY_SUFFIX}"):
        for path in out.glob(pattern):
            path.unlink()


def _check(source: str, source_path: Path | None) -> None:
    if source not in SOURCES:
        raise ValueError(f"no source {source!r}: choose from {', '.join(SOURCES)}")
    if source_path is None:
        if source == "text":
            remedy = "name your file or folder: `python cli.py fetch text --from PATH`"
            raise DataError("the source text is a person's own files", remedy)
        if source in ADDRESSES:
            remedy = (
                f"downloads come with the next release: download {ADDRESSES[source]} yourself, "
                f"then run `python cli.py fetch {source} --from FILE`"
            )
            raise DataError(f"{source} cannot be downloaded yet", remedy)
    elif source == "docstrings":
        remedy = f"leave --from {source_path} out"
        raise DataError("docstrings are read from this Python installation only", remedy)
    elif not source_path.exists():
        raise DataError(f"there is no {source_path}", "name an existing file or folder in --from")


def _plan(
    source: str,
    limit: int | None,
    files: Mapping[str, Path],
    libraries: Iterable[str],
    old: Manifest | None,
) -> Manifest:
    """Return the manifest without its files and counts, but for the stamps of the inputs."""
    stamps = stamp_inputs(files)
    return Manifest(
        stage="fetch",
        config={"source": source, "limit": limit},
        inputs=hash_inputs(files, stamps, old),
        files={},
        counts={STAMPS: stamps},
        versions={
            "python": platform.python_version(),
            **library_versions("pyarrow", *libraries),
        },
    )


def _write_all(
    documents: Iterable[Document],
    out: Path,
    counts: Counter[str],
    limit: int | None,
    total: int,
) -> DocumentWriter:
    """Write documents until they end or `limit` is reached, and show how far that is."""
    with (
        DocumentWriter(out) as writer,
        tqdm(
            total=limit or total, desc="fetch", unit="B", unit_scale=True, disable=None
        ) as progress,
    ):
        for document in documents:
            writer.write(document)
            done = writer.text_bytes if limit else counts["input_bytes"]
            progress.update(done - progress.n)
            if limit and writer.text_bytes >= limit:
                break
    return writer


def _balance(writer: DocumentWriter, counts: Counter[str]) -> dict[str, Any]:
    """Return the counts as the manifest keeps them: "dropped: WHY" becomes dropped[WHY]."""
    balance: dict[str, Any] = {
        "documents": writer.documents,
        "text_bytes": writer.text_bytes,
        "dropped": {},
        "cleaned": {},
    }
    for name, number in sorted(counts.items()):
        kind, colon, what = name.partition(": ")
        if colon and number:
            balance[kind][what] = number
        elif not colon:
            balance[name] = number
    return balance


def _empty(source: str, source_path: Path | None, counts: Counter[str]) -> DataError:
    dropped = [
        f"{number} {name.removeprefix('dropped: ')}"
        for name, number in sorted(counts.items())
        if name.startswith("dropped: ") and number
    ]
    problem = f"{source_path or source} gives no document ({', '.join(dropped) or 'it is empty'})"
    return DataError(problem, "name a file or folder that holds text in --from")
