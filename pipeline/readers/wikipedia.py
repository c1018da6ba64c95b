"""Wikipedia: a `pages-articles` dump, .xml.bz2 (multistream or not) or plain .xml, or its parts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers import wiki_dump
from pipeline.readers.wiki_bz2 import AGAIN
from pipeline.readers.wiki_dump import DumpPart, find
from shards.errors import DataError

__all__ = ["LIBRARIES", "divide", "find", "read"]

LIBRARIES = ("wikiextractor",)


def divide(files: Mapping[str, Path], config: FetchConfig, workers: int) -> Iterator[DumpPart]:
    """Yield ranges of the dump's files, once each has been found to be whole at its ends.

    Raises:
        DataError: A file is no dump in UTF-8, or is cut short.
    """
    return wiki_dump.divide(files)


def read(part: DumpPart, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
    """Yield the articles whose pages begin in the part.

    Raises:
        DataError: The file is truncated or damaged, or a page is too large or not UTF-8.
    """
    # Imported in workers only: wikiextractor is AGPL-3.0, and takes a while to load.
    from pipeline.readers.wiki_extract import extract_article

    for page in wiki_dump.pages(part):
        try:
            document = extract_article(page, counts)
        except UnicodeDecodeError as error:
            title = wiki_dump.title(page)
            problem = f"{part.path}: page {title!r} is not UTF-8 ({error})"
            raise DataError(problem, AGAIN) from error
        if document is not None:
            yield document
