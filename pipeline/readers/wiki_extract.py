"""From the XML of a page to an article, by the package wikiextractor, **which is AGPL-3.0**.

This is the one module that imports it, in worker processes where there are several; nothing of it
is copied. Its class is called directly: its command line hangs on errors and ends well with no
article.

What the dump itself tells is used: the namespace of a page from `<ns>` (never from its title),
headings from wikitext (so that they carry no final full stop), the last of several revisions.
"""

import html
import re
from collections import Counter

from wikiextractor.extract import Extractor, MagicWords

from pipeline.clean import join, tidy
from pipeline.documents import Document
from pipeline.readers.templates import TEMPLATES
from pipeline.readers.wiki_clean import repair_wiki_paragraph

_HEADING = "## "
_REFERENCE = re.compile(
    r"&lt;ref(?: (?:[^&/]|&(?![lg]t;)|/(?!&gt;))*+)?+&gt;[^&]*+(?:&(?!lt;)[^&]*+)*+&lt;/ref&gt;"
)
"""A reference without tags in it, as XML escapes it."""
_NAMESPACE = re.compile(rb"<ns>(-?\d+)</ns>")


def extract_article(page: bytes, counts: Counter[str]) -> Document | None:
    """Return the article, or None for a page that is none, counting why.

    Args:
        page: The XML between `<page>` and `</page>`.
        counts: As `read` of a reader counts.

    Raises:
        UnicodeDecodeError: The page is not UTF-8.
    """
    head, _, rest = page.partition(b"<revision>")
    namespace = _NAMESPACE.search(head)
    if namespace is None:
        counts["dropped: pages without a namespace"] += 1
        return None
    if namespace[1] != b"0":
        counts["dropped: other namespaces"] += 1
        return None
    if b"<redirect" in head:
        counts["dropped: redirects"] += 1
        return None
    older, _, last = rest.rpartition(b"<revision>")
    if older:
        counts["dropped: older revisions"] += older.count(b"<revision>") + 1
    identity = _content(head, b"id")
    title = tidy(html.unescape(_content(head, b"title")), counts)
    text = _extract_text(identity, title, _content(last, b"text"), counts)
    if not text:
        counts["dropped: empty articles"] += 1
        return None
    return Document(identity, title, text)


def _content(xml: bytes, tag: bytes) -> str:
    """Return what is in the first element of this name, with or without attributes."""
    start = re.search(rb"<%b(?: [^>]*)?(?<!/)>" % tag, xml)
    return xml[start.end() :].partition(b"</%b>" % tag)[0].decode("utf-8") if start else ""


class _TimelessWords(MagicWords):  # type: ignore[misc]
    """Magic words without `{{CURRENTYEAR}}` and its like: the same dump gives the same text."""

    def __setitem__(self, name: str, value: str) -> None:
        if not name.startswith("current"):
            super().__setitem__(name, value)


def _extract_text(identity: str, title: str, wikitext: str, counts: Counter[str]) -> str:
    wikitext = _REFERENCE.sub(_without_reference, wikitext)
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


def _without_reference(found: re.Match[str]) -> str:
    """Return what stays of a reference: nothing, unless a bracket that it opens ends outside.

    wikiextractor leaves references out too, but not before it has expanded the templates in them,
    which are most templates: a fifth of its time.
    """
    text = found[0]
    is_closed = text.count("{") == text.count("}") and text.count("[") == text.count("]")
    return "" if is_closed else text
