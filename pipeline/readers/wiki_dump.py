"""The files of a dump, the parts they are divided into, and the pages of a part.

A part is a range of bytes of one file, as it lies on disk. A page belongs to the part in which its
`<page>` begins: that of the block where a .bz2 file has been compressed. Its worker reads on
behind the part up to `</page>`, and passes over the end of a page that begins before the part.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.readers.parts import part_bytes, visible_files
from pipeline.readers.wiki_bz2 import AGAIN, open_bz2
from shards.errors import DataError

LARGEST_PART = {".bz2": 12 << 20, ".xml": 40 << 20}
"""Bytes, by kind of file: about 15 MB of text."""
PIECE_BYTES = 1 << 19
"""XML worked on at a time: less than a block of bzip2, not to decode more than need be."""
LARGEST_PAGE = 16 << 20
"""MediaWiki refuses texts over 2 MB, which are 12 MB if each character is escaped."""

_BEGIN, _END = b"<page>", b"</page>"
_FOOTER = b"</mediawiki>"
_EDGE_BYTES = 1 << 16
"""The header is in the first of these; with all namespaces it has under 5,000."""
_MARKS_16 = (b"\xff\xfe", b"\xfe\xff")
_PART_NAME = re.compile(r"(\d*)\.xml-p(\d+)p\d+")


class DumpPart(NamedTuple):
    """Bytes `start` to `stop` of a file."""

    path: Path
    start: int
    stop: int

    @property
    def input_bytes(self) -> int:
        """Bytes of the file on disk that this part takes the reading forward."""
        return self.stop - self.start


def find(path: Path) -> dict[str, Path]:
    """Return the dump at `path`, or those in this folder: parts of one in the order of their pages.

    Indexes of multistream dumps, and files of another kind, are passed over in a folder.

    Raises:
        DataError: There is no .bz2 or .xml file.
    """
    if path.is_dir():
        visible = visible_files(path).items()
        files = [file for name, file in visible if "/" not in name and "-index" not in name]
    else:
        files = [path] if path.is_file() else []
    dumps = [file for file in files if file.suffix in LARGEST_PART]
    if not dumps:
        problem = f"{path} is no .xml.bz2 or .xml file, nor a folder of such"
        raise DataError(problem, "name a pages-articles dump in --from")
    return {dump.name: dump for dump in sorted(dumps, key=_place)}


def _place(path: Path) -> tuple[int, int, str]:
    """Return what sorts the files of a split dump: their number, first page and name."""
    found = _PART_NAME.search(path.name)
    return (int(found[1] or 0), int(found[2]), path.name) if found else (0, 0, path.name)


def divide(files: Mapping[str, Path]) -> Iterator[DumpPart]:
    """Check that every file is a whole dump, then yield the parts of all.

    Raises:
        DataError: A file is no dump in UTF-8, or is cut short.
    """
    for path in files.values():
        _check_ends(path)
    sizes = {path: path.stat().st_size for path in files.values()}
    for path, size in sizes.items():
        step = part_bytes(sum(sizes.values()), LARGEST_PART[path.suffix])
        for start in range(0, size, step):
            yield DumpPart(path, start, min(start + step, size))


def pages(part: DumpPart) -> Iterator[bytes]:
    """Yield the XML of each page that begins in the part, without its `<page>` and `</page>`.

    Raises:
        DataError: The file is truncated or damaged, or a page is too large.
    """
    rest = b""
    for piece in _pieces(part.path, part.start, part.stop):
        *whole, rest = (rest + piece).split(_END)
        for text in whole:
            _, begin, page = text.partition(_BEGIN)
            if begin:
                yield _checked(page, part.path)
        position = rest.find(_BEGIN)
        rest = _checked(rest[position:], part.path) if position >= 0 else rest[1 - len(_END) :]
    if b"<" in rest:
        last = _last_page(rest, part)
        if last is not None:
            yield last


def title(page: bytes) -> str:
    """Return the title in a page's XML, to name it in an error."""
    return page.partition(b"<title>")[2].partition(b"<")[0].decode(errors="replace")


def _last_page(rest: bytes, part: DumpPart) -> bytes | None:
    """Return the page that begins in `rest`, the end of the part, if one does."""
    pieces = _pieces(part.path, part.stop, part.path.stat().st_size)
    text = rest + next(pieces, b"")
    begin = text.find(_BEGIN)
    if not 0 <= begin < len(rest):
        return None
    while (end := text.find(_END, begin)) < 0:
        piece = next(pieces, None)
        if piece is None:
            raise DataError(f"{part.path} ends within a page: it is cut short", AGAIN)
        text = _checked(text + piece, part.path)
    return _checked(text[begin + len(_BEGIN) : end], part.path)


def _checked(page: bytes, path: Path) -> bytes:
    """Return a page, or what there is of it, if it is not too large."""
    if len(page) > LARGEST_PAGE:
        problem = f"{path}: page {title(page)!r} has over {LARGEST_PAGE >> 20} MB"
        raise DataError(problem, "name a dump with one revision a page (pages-articles)")
    return page


def _pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """Yield the XML of a range of a file, PIECE_BYTES or more at a time but for the last."""
    gathered: list[bytes] = []
    size = 0
    for block in _blocks(path, start, stop):
        gathered.append(block)
        size += len(block)
        if size >= PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _blocks(path: Path, start: int, stop: int) -> Iterator[bytes]:
    if path.suffix == ".bz2":
        with open_bz2(path) as dump:
            yield from dump.blocks(start, stop)
        return
    with path.open("rb") as file:
        file.seek(start)
        for place in range(start, stop, PIECE_BYTES):
            yield file.read(min(PIECE_BYTES, stop - place))


def _check_ends(path: Path) -> None:
    """Check the header and the footer of a dump."""
    first, last = _ends(path)
    if first.startswith(_MARKS_16):
        remedy = "convert it (iconv -f UTF-16 -t UTF-8), or download the original dump"
        raise DataError(f"{path} is UTF-16, not UTF-8", remedy)
    header = first.partition(_BEGIN)[0]
    if b"<mediawiki" not in header:
        raise DataError(f"{path} is no MediaWiki dump: it begins {first[:40]!r}", AGAIN)
    if b"</siteinfo>" not in header:
        raise DataError(f"{path} has no <siteinfo> before its first page", AGAIN)
    if not last.rstrip().endswith(_FOOTER):
        raise DataError(f"{path} ends without </mediawiki>: it is cut short", AGAIN)


def _ends(path: Path) -> tuple[bytes, bytes]:
    """Return the first and last _EDGE_BYTES or more of the XML, or all there is."""
    size = path.stat().st_size
    first = b""
    for block in _blocks(path, 0, size):
        first += block
        if len(first) >= _EDGE_BYTES:
            break
    if path.suffix == ".bz2":
        with open_bz2(path) as dump:
            return first, dump.last_bytes(_EDGE_BYTES)
    with path.open("rb") as file:
        file.seek(max(0, size - _EDGE_BYTES))
        return first, file.read()
