import bz2
from collections import Counter

import pytest

from pipeline.documents import Document
from pipeline.sources import wikipedia
from shards.errors import DataError

HEADER = """<mediawiki version="0.10" xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <namespaces><namespace key="10">Template</namespace></namespaces>
  </siteinfo>
"""
FOOTER = "</mediawiki>\n"


def page(title, *texts, namespace="0", redirect="", identity=1):
    ns = "" if namespace is None else f"<ns>{namespace}</ns>\n    "
    revisions = "".join(
        f"    <revision>\n      <id>{number}</id>\n"
        f'      <text xml:space="preserve">{text}</text>\n    </revision>\n'
        for number, text in enumerate(texts)
    )
    return (
        f"  <page>\n    <title>{title}</title>\n    {ns}<id>{identity}</id>\n{redirect}"
        f"{revisions}  </page>\n"
    )


ARTICLE = """'''Anarchism''' () is a [[philosophy]] &amp;amp; a movement{{cn}}.

== Etymology ==
The word comes from Greek in {{CURRENTYEAR}}.

== U.S. ==
It has &lt;math&gt;x^2&lt;/math&gt; many forms.

== See also ==
* [[Other]]
"""
PAGES = [
    page("Anarchism", ARTICLE, identity=12),
    page("Gone", "#REDIRECT [[Anarchism]]", redirect='    <redirect title="Anarchism" />\n'),
    page("Talk:A", "Talk.", namespace="1"),
    page("Template (R&amp;D)", "Old text here.", "New text here.", identity=13),
    page("Empty", "{{infobox}}", identity=14),
]
EXPECTED = [
    Document(
        "12",
        "Anarchism",
        "Anarchism is a philosophy & a movement.\n\nEtymology\n\nThe word comes from Greek in.",
    ),
    Document("13", "Template (R&D)", "New text here."),
]


def dump(pages, header=HEADER, footer=FOOTER):
    return (header + "".join(pages) + footer).encode()


def read(path, workers=1):
    counts = Counter()
    return list(wikipedia.documents(path, counts, workers)), counts


@pytest.fixture
def write(tmp_path):
    def write_dump(raw, name="x.xml.bz2"):
        path = tmp_path / name
        path.write_bytes(raw if name.endswith(".xml") else bz2.compress(raw))
        return path

    return write_dump


@pytest.mark.parametrize("name", ["x.xml.bz2", "x.xml"])
def test_articles_are_extracted_and_the_rest_is_counted(write, name):
    path = write(dump(PAGES), name)
    documents, counts = read(path)
    assert documents == EXPECTED
    assert counts == {
        "pages": 5,
        "input_bytes": path.stat().st_size,
        "dropped: redirects": 1,
        "dropped: other namespaces": 1,
        "dropped: older revisions": 1,
        "dropped: empty articles": 1,
        "dropped: paragraphs with a formula or code left out": 1,
        "cleaned: empty brackets": 1,
    }


def test_workers_and_streams_change_nothing(write, tmp_path, monkeypatch):
    monkeypatch.setattr(wikipedia, "TASK_BYTES", 1)
    monkeypatch.setattr(wikipedia, "BLOCK_BYTES", 512)
    multistream = tmp_path / "multistream.xml.bz2"
    parts = [HEADER, *PAGES, FOOTER]
    multistream.write_bytes(b"".join(bz2.compress(part.encode()) for part in parts))
    assert read(multistream, workers=2)[0] == EXPECTED


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (dump(PAGES, footer=""), r"x\.xml\.bz2 ends without </mediawiki>"),
        (dump(PAGES).decode().encode("utf-16"), "is UTF-16, not UTF-8"),
        (dump(PAGES, header="<mediawiki>\n"), "has no <siteinfo>"),
        (dump([page("A", "Text.", namespace=None)]), "no article among its 1 pages .*no <ns>"),
        (dump([page("A", "Text.", namespace="6")]), "no article among its 1 pages"),
        (b"<html>", "no MediaWiki dump: it begins"),
        (b"", "no MediaWiki dump"),
        (dump([page("A", "XX")]).replace(b"XX", b"\xe9"), "page 'A' is not UTF-8"),
    ],
)
def test_a_dump_that_is_none_is_named(write, raw, problem):
    with pytest.raises(DataError, match=problem):
        read(write(raw))


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("About {{convert|9.9|km|mi}} long.", "About 9.9 km long."),
        ("About {{cvt|2|-|5|C|F}}.", "About 2 to 5 °C."),
        ("{{lang|fr|[[sans-culottes]]}} {{transl|ja|dan}}", "sans-culottes dan"),
        ("Founded {{as of|1990|lc=y}} ({{circa|1150}}).", "Founded as of 1990 (c. 1150)."),
        ("It cost {{US$|5 million|long=no}} ({{cn}}).", "It cost US$5 million."),
    ],
)
def test_common_templates_are_shown(write, wikitext, text):
    documents, _ = read(write(dump([page("A", wikitext)])))
    assert [document.text for document in documents] == [text]


def test_a_truncated_bz2_is_named(write):
    path = write(dump(PAGES))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="truncated or damaged"):
        read(path)


def test_an_error_in_a_worker_reaches_the_parent(write):
    raw = dump([page("A", "XX")]).replace(b"XX", b"\xe9")
    with pytest.raises(DataError, match="page 'A' is not UTF-8"):
        read(write(raw), workers=2)


def test_a_file_of_another_kind_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no \.xml\.bz2 or \.xml file"):
        wikipedia.input_files(tmp_path)


DUMPS = {
    "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2": (105, 1),
    "dbpedia-mini-simple-wiki.xml.bz2": (1, 0),
    "ltgwiki-tiny-latest-pages-articles.xml": (7, 1),
    "pywikibot/article-pear-0.10.xml": (1, 0),
    "pywikibot/pair-0.10.xml": (1, 0),
}


@pytest.mark.parametrize("name", DUMPS)
def test_real_dumps_give_their_articles(real_data, name):
    documents, counts = read(real_data / "dumps" / name)
    assert (len(documents), counts["dropped: empty articles"]) == DUMPS[name]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("bgwiki-latest-pages-articles-shortened.xml.bz2", "UTF-16"),
        ("enwiki-20090902-pages-articles-sample.xml", "no <ns>"),
        ("enwiki-table-markup.xml.bz2", "no <siteinfo>"),
        ("pywikibot/article-pyrus.xml.bz2", "no <ns>"),
    ],
)
def test_real_odd_dumps_are_refused(real_data, name, problem):
    with pytest.raises(DataError, match=problem):
        read(real_data / "dumps" / name)
