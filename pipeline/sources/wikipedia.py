"""Wikipedia: a `pages-articles` dump, .xml.bz2 (multistream too) or plain .xml.

Wikitext becomes text by the package wikiextractor, **which is AGPL-3.0**. This is the one module
that imports it, in its own worker processes where there are several; nothing of it is copied.
Its functions are called directly: its command line hangs on errors and ends well with no article.

What the dump itself tells is used: the namespace of a page from `<ns>` (never from its title),
headings from wikitext (so that they carry no final full stop), the last of several revisions.
"""

import bz2
import html
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

from wikiextractor import WikiExtractor
from wikiextractor.extract import Extractor, MagicWords

from pipeline.clean import join, tidy
from pipeline.documents import Document
from pipeline.sources.parallel import in_order
from pipeline.sources.templates import TEMPLATES
from pipeline.sources.wiki_clean import repair_wiki_paragraph
from shards.errors import DataError

LIBRARIES = ("wikiextractor",)

# `collect_pages` drops titles that begin with this. It must end in a colon, or the article
# "Template (racing)" is lost; no page of namespace 0 begins so.
WikiExtractor.templateNamespace = "Template:"

BLOCK_BYTES = 1 << 20
"""Dump read at a time."""
LARGEST_PAGE = 64 << 20
"""MediaWiki refuses pages over 2 MB; a gap as long as this between two pages is no dump."""
TASK_BYTES = 1 << 20
"""Raw pages sent to a worker at a time, about 100."""

_MARKS_16 = (b"\xff\xfe", b"\xfe\xff")
_HEADING = "## "
_NAMESPACE = re.compile(r"<ns>(-?\d+)</ns>")
_AGAIN = "download a pages-articles.xml.bz2 again, and compare its sum"


class Pages(NamedTuple):
    """Some raw pages, without their end tags, and how far into the input the last one ends."""

    where: str
    raw: list[bytes]
    input_bytes: int


def input_files(path: Path) -> dict[str, Path]:
    """Return the dump itself.

    Raises:
        DataError: `path` is no .bz2 or .xml file.
    """
    if not path.is_file() or path.suffix not in (".bz2", ".xml"):
        problem = f"{path} is no .xml.bz2 or .xml file"
        raise DataError(problem, "name a pages-articles dump in --from")
    return {path.name: path}


def documents(path: Path, counts: Counter[str], workers: int) -> Iterator[Document]:
    """Yield a document for each article, in the order of the dump."""
    for made, made_counts in in_order(_extract_pages, _tasks(path), workers):
        counts["input_bytes"] = made_counts.pop("input_bytes")
        counts.update(made_counts)
        yield from made
    if not counts["pages"] - counts["dropped: other namespaces"] - counts[_NO_NAMESPACE]:
        problem = f"{path} has no article among its {counts['pages']} pages"
        if counts[_NO_NAMESPACE]:
            problem += " (they have no <ns>: the dump is older than 2012)"
        raise DataError(problem, "name a newer pages-articles dump in --from")


_NO_NAMESPACE = "dropped: pages without a namespace"


def _tasks(path: Path) -> Iterator[Pages]:
    """Divide the dump into tasks, checking that it is one and that it is whole."""
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("rb"))
        stream = stack.enter_context(bz2.open(file)) if path.suffix == ".bz2" else file
        task: list[bytes] = []
        size = 0
        for page in _pages(stream, path):
            task.append(page)
            size += len(page)
            if size >= TASK_BYTES:
                yield Pages(str(path), task, file.tell())
                task, size = [], 0
        yield Pages(str(path), task, file.tell())


def _pages(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Yield the XML of each page from after `<page>` to before `</page>`."""
    rest = _read(stream, path)
    _check_header(rest, path)
    while block := _read(stream, path):
        *pages, rest = (rest + block).split(b"</page>")
        yield from (page.partition(b"<page>")[2] for page in pages)
        if len(rest) > LARGEST_PAGE:
            problem = f"{path} has no </page> in {len(rest)} bytes"
            raise DataError(problem, _AGAIN)
    *pages, rest = rest.split(b"</page>")
    yield from (page.partition(b"<page>")[2] for page in pages)
    if b"</mediawiki>" not in rest:
        raise DataError(f"{path} ends without </mediawiki>: it is cut short", _AGAIN)


def _read(stream: IO[bytes], path: Path) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except (EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{path} is a truncated or damaged .bz2 ({error})", _AGAIN) from error


def _check_header(start: bytes, path: Path) -> None:
    if start.startswith(_MARKS_16):
        remedy = "convert it (iconv -f UTF-16 -t UTF-8), or download the original dump"
        raise DataError(f"{path} is UTF-16, not UTF-8", remedy)
    header = start.partition(b"<page>")[0]
    if b"<mediawiki" not in header:
        raise DataError(f"{path} is no MediaWiki dump: it begins {start[:40]!r}", _AGAIN)
    if b"</siteinfo>" not in header:
        raise DataError(f"{path} has no <siteinfo> before its first page", _AGAIN)


def _extract_pages(pages: Pages) -> tuple[list[Document], Counter[str]]:
    counts: Counter[str] = Counter()
    counts["input_bytes"] = pages.input_bytes
    made = []
    for raw in pages.raw:
        try:
            page = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            title = raw.partition(b"<title>")[2].partition(b"<")[0].decode(errors="replace")
            raise DataError(
                f"{pages.where}: page {title!r} is not UTF-8 ({error})", _AGAIN
            ) from error
        counts["pages"] += 1
        document = _extract_page(page, counts)
        if document is not None:
            made.append(document)
    return made, counts


def _extract_page(page: str, counts: Counter[str]) -> Document | None:
    """Return the article, or None for a page that is none, counting why."""
    head, revision, rest = page.partition("<revision>")
    namespace = _NAMESPACE.search(head)
    if namespace is None:
        counts[_NO_NAMESPACE] += 1
        return None
    if namespace[1] != "0":
        counts["dropped: other namespaces"] += 1
        return None
    if "<redirect" in head:
        counts["dropped: redirects"] += 1
        return None
    older, _, last = rest.rpartition("<revision>")
    if older:
        counts["dropped: older revisions"] += older.count("<revision>") + 1
    xml = io.StringIO(f"<page>{head}{revision}{last}</page>")
    for identity, _, title, lines in WikiExtractor.collect_pages(xml):
        title = tidy(html.unescape(title), counts)
        if text := _extract_text(identity, title, "".join(lines), counts):
            return Document(identity, title, text)
    counts["dropped: empty articles"] += 1
    return None


class _TimelessWords(MagicWords):  # type: ignore[misc]
    """Magic words without `{{CURRENTYEAR}}` and its like: the same dump gives the same text."""

    def __setitem__(self, name: str, value: str) -> None:
        if not name.startswith("current"):
            super().__setitem__(name, value)


def _extract_text(identity: str, title: str, wikitext: str, counts: Counter[str]) -> str:
    extractor = Extractor(
        identity, "", "", title, [], templates=TEMPLATES, templatePrefix="Template:"
    )
    extractor.magicWords = _TimelessWords()
    pieces: list[str] = []
    last_text = 0  # headings after the last paragraph head nothing
    for paragraph in extractor.clean_text(wikitext, mark_headers=True, html_safe=False):
        is_heading = paragraph.startswith(_HEADING)
        if is_heading:
            # wikiextractor ends a heading with a full stop unless it ends in ! or ?
            paragraph = paragraph.removeprefix(_HEADING).removesuffix(".")
        if text := repair_wiki_paragraph(paragraph, counts):
            pieces.append(text)
            last_text = last_text if is_heading else len(pieces)
    return join(pieces[:last_text])
