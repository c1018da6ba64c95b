"""OpenWebText: `openwebtext.tar.xz` as on Zenodo, or a plain .tar of the Hugging Face form.

The outer archive holds `.xz` members, each of which is an xz'd tar of .txt files, one web page
each (Gokaslan and Cohen 2019; google-research/electra build_openwebtext_pretraining_dataset.py
reads it alike). All of it is streamed; nothing is unpacked to disk. Order is that of the archive.
"""

import io
import lzma
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from pipeline.clean import break_lines, join, paragraphs
from pipeline.decode import decode_member
from pipeline.documents import Document
from pipeline.sources.parallel import in_order
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

AGAIN = "download it again"
XZ_MAGIC = b"\xfd7zXZ\x00"
TAR_END = bytes(1024)
"""Two blocks of zeros close every tar (POSIX pax, "end-of-archive")."""

_OTHERS = "dropped: files of another kind"


class Inner(NamedTuple):
    """One inner archive and where it came from.

    Attributes:
        where: The outer file and the archive's name.
        raw: Its bytes.
        input_bytes: How far into the input it ends.
        others: Files of another kind before it.
    """

    where: str
    raw: bytes
    input_bytes: int
    others: int


def input_files(path: Path) -> dict[str, Path]:
    """Return the archive itself.

    Raises:
        DataError: `path` is a folder.
    """
    if not path.is_file():
        raise DataError(f"{path} is a folder", "name openwebtext.tar.xz itself in --from")
    return {path.name: path}


def documents(path: Path, counts: Counter[str], workers: int) -> Iterator[Document]:
    """Yield a document for each web page, in the order of the archive."""
    others: list[str] = []
    for made, made_counts in in_order(_clean_pages, _inner_archives(path, others), workers):
        # Taken from the result, not from how far the archive is read ahead: `workers` decides that.
        counts["input_bytes"] = made_counts.pop("input_bytes")
        counts[_OTHERS] = made_counts.pop(_OTHERS)
        counts.update(made_counts)
        yield from made
    counts[_OTHERS] = len(others)


def _inner_archives(path: Path, others: list[str]) -> Iterator[Inner]:
    found = False
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        is_xz = file.read(len(XZ_MAGIC)) == XZ_MAGIC
        if not is_xz:
            _check_end(file, path)
        file.seek(0)
        outer: IO[bytes] = stack.enter_context(lzma.open(file)) if is_xz else file
        for name, raw in _members(outer, str(path)):
            if name.endswith(".xz"):
                found = True
                yield Inner(f"{path}: {name}", raw, file.tell(), len(others))
            else:
                others.append(name)
    if not found:
        raise DataError(f"{path} holds no .xz archive", "name openwebtext.tar.xz in --from")


def _check_end(file: BinaryIO, path: Path) -> None:
    """Raise a DataError for a plain tar that is cut: `tarfile` does not notice between members."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - len(TAR_END)))
    if file.read() != TAR_END:
        problem = f"{path} is neither a .tar.xz nor a .tar that ends as it should"
        raise DataError(problem, AGAIN)


def _members(file: IO[bytes], where: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each regular file in a tar read as a stream."""
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield member.name, content.read()
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise DataError(
            f"{where} is truncated, damaged or no tar of text ({error})", AGAIN
        ) from error


def _clean_pages(inner: Inner) -> tuple[list[Document], Counter[str]]:
    counts: Counter[str] = Counter()
    counts["input_bytes"] = inner.input_bytes
    counts[_OTHERS] = inner.others
    try:
        tar = lzma.decompress(inner.raw)
    except (lzma.LZMAError, EOFError) as error:
        raise DataError(f"{inner.where} is damaged ({error})", AGAIN) from error
    made = []
    for name, raw in _members(io.BytesIO(tar), inner.where):
        text = decode_member(raw, counts)
        if text is None:
            continue
        if pieces := paragraphs(break_lines(text, counts), counts):
            made.append(Document(name, "", join(pieces)))
        else:
            counts["dropped: empty texts"] += 1
    return made, counts
