"""OpenWebText as it is served: `openwebtext.tar.xz` (Zenodo), or plain tars (Hugging Face).

The outer archive holds `.xz` members, each of which is an xz'd tar of .txt files, one web page
each (Gokaslan and Cohen 2019; google-research/electra build_openwebtext_pretraining_dataset.py
reads it alike). A folder of these tars or of the inner archives will do, and so will a tar of the
.txt files themselves. All is streamed; nothing is unpacked to disk. Order is that of the archive.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from pipeline.clean import break_lines, join, paragraphs
from pipeline.config import FetchConfig
from pipeline.decode import decode_member
from pipeline.documents import Document
from pipeline.readers.archives import (
    AGAIN,
    LARGEST_TEXT,
    TAR_END,
    read_bounded,
    tar_texts,
    walk_tar,
)
from pipeline.readers.compressed import damage, unpack_xz
from pipeline.readers.parts import part_bytes, visible_files
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

LARGEST_PART = 12 << 20
"""Bytes of inner archives; they unpack to about three times that."""
LARGEST_INNER = 32 << 20
"""Bytes of an inner archive in an outer one; the real ones have under 1 MB."""
XZ_MAGIC = b"\xfd7zXZ\x00"


class Piece(NamedTuple):
    """An inner archive, or a page.

    Attributes:
        name: Of the member, or of the file that is an inner archive itself.
        path: The file that holds it.
        offset: Where in the file; 0 only where the file is an inner archive itself.
        size: Its bytes.
        end: How far into all the input it ends.
        raw: Its content, where the file cannot be read from the middle.
    """

    name: str
    path: Path
    offset: int
    size: int
    end: int
    raw: bytes | None = None


class Part(NamedTuple):
    """Some pieces; `others` counts the files of another kind among them."""

    pieces: tuple[Piece, ...]
    input_bytes: int
    others: int = 0


def find(path: Path) -> dict[str, Path]:
    """Return the archive, or the archives of a folder.

    Raises:
        DataError: The folder has none.
    """
    if path.is_file():
        return {path.name: path}
    visible = visible_files(path)
    for suffix in (".tar", ".tar.xz", ".xz"):
        if found := {name: file for name, file in visible.items() if name.endswith(suffix)}:
            return found
    raise DataError(f"{path} is a folder without .tar and .xz", "name openwebtext.tar.xz in --from")


def divide(files: Mapping[str, Path], config: FetchConfig, workers: int) -> Iterator[Part]:
    """Yield parts of the archives; only those of a .tar.xz carry what is in them.

    Raises:
        DataError: An archive is truncated or damaged, or has a member that is refused.
    """
    sizes = {path: path.stat().st_size for path in files.values()}
    largest = part_bytes(sum(sizes.values()), LARGEST_PART)
    inner: list[Path] = []
    for path in sizes:
        if _is_inner(path):
            inner.append(path)
            continue
        with path.open("rb") as file:
            pieces = _in_xz(file, path) if _is_xz(path) else _in_tar(file, path)
            yield from _group(pieces, path, largest, sizes[path])
    if inner:
        ends = list(accumulate(sizes[path] for path in inner))
        whole = (
            Piece(path.name, path, 0, sizes[path], end)
            for path, end in zip(inner, ends, strict=True)
        )
        yield from _group(whole, inner[0].parent, largest, ends[-1])


def read(part: Part, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
    """Yield a document for each web page."""
    if part.others:
        counts["dropped: files of another kind"] += part.others
    limit = min(config.max_member_size, LARGEST_TEXT)
    for piece in part.pieces:
        for name, raw in _pages(piece, limit):
            text = decode_member(raw, counts)
            if text is None:
                continue
            if pieces := paragraphs(break_lines(text, counts), counts):
                yield Document(name, "", join(pieces))
            else:
                counts["dropped: empty texts"] += 1


def _is_xz(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(XZ_MAGIC)) == XZ_MAGIC


def _is_inner(path: Path) -> bool:
    return not path.name.lower().endswith(".tar.xz") and _is_xz(path)


def _in_xz(file: BinaryIO, path: Path) -> Iterator[Piece]:
    outer = unpack_xz(file)

    def take(name: str, size: int) -> Piece:
        _check_size(path, name, size)
        raw = outer.read(size)
        if len(raw) < size:
            raise EOFError("it ends too early")
        return Piece(name, path, 1, size, file.tell(), raw)

    with damage(str(path), AGAIN):
        yield from walk_tar(outer, str(path), take)


def _in_tar(file: BinaryIO, path: Path) -> Iterator[Piece]:
    _check_end(file, path)

    def take(name: str, size: int) -> Piece:
        _check_size(path, name, size)
        offset = file.tell()
        end = file.seek(size, io.SEEK_CUR)
        return Piece(name, path, offset, size, end)

    return walk_tar(file, str(path), take)


def _check_end(file: BinaryIO, path: Path) -> None:
    """Raise a DataError for a plain tar that is cut, before hours are spent on what is there."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - len(TAR_END)))
    if file.read() != TAR_END:
        problem = f"{path} is neither a .tar.xz nor a .tar that ends as it should"
        raise DataError(problem, AGAIN)
    file.seek(0)


def _check_size(path: Path, name: str, size: int) -> None:
    if size > LARGEST_INNER:
        problem = f"{path}: {name} has {size:,} bytes and is no archive of OpenWebText"
        raise DataError(problem, "unpack the outer archive and name its folder in --from")


def _group(pieces: Iterable[Piece], path: Path, largest: int, total: int) -> Iterator[Part]:
    """Yield parts of `largest` bytes or just over; `total` is where the input ends."""
    group: list[Piece] = []
    size = others = done = 0
    for piece in pieces:
        if not piece.name.lower().endswith((".xz", ".txt")):
            others += 1
            continue
        group.append(piece)
        size += piece.size
        if size >= largest:
            yield Part(tuple(group), piece.end - done, others)
            group, size, others, done = [], 0, 0, piece.end
    if not group and not done:
        raise DataError(f"{path} holds no .xz archive", "name openwebtext.tar.xz in --from")
    if group or others or done < total:
        yield Part(tuple(group), total - done, others)


def _pages(piece: Piece, limit: int) -> Iterator[tuple[str, bytes]]:
    where = f"{piece.path}: {piece.name}" if piece.offset else str(piece.path)
    with piece.path.open("rb") as file:
        file.seek(piece.offset)
        content: IO[bytes] = file
        if piece.offset:
            content = io.BytesIO(piece.raw if piece.raw is not None else file.read(piece.size))
        if piece.name.lower().endswith(".txt"):
            yield piece.name, read_bounded(content, limit, where)
            return
        with damage(where, AGAIN):
            for name, raw in tar_texts(unpack_xz(content), where, limit):
                if name.lower().endswith(".xz"):
                    remedy = "it is an outer archive: let its name end in .tar.xz"
                    raise DataError(f"{where} holds the archive {name}", remedy)
                yield name, raw
