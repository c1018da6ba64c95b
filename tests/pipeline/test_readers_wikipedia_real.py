"""Real pieces of dumps, whole and odd, and what each gives."""

from collections import Counter

import pytest

from pipeline.config import FetchConfig
from pipeline.readers import wikipedia
from shards.errors import DataError

CONFIG = FetchConfig()


def read(path):
    counts = Counter()
    parts = wikipedia.divide(wikipedia.find(path), CONFIG, 1)
    documents = [document for part in parts for document in wikipedia.read(part, CONFIG, counts)]
    return documents, counts


MIRROR = "mirror/dumps.wikimedia.org/enwiki/latest"
# The empty articles are pages without a sentence: a list of anthropologists (one of 106 and of 139
# pages that are no redirects), a gallery of Commons, and a redirect that its dump does not mark.
DUMPS = {  # articles, redirects, other namespaces, older revisions, without a namespace, empty
    "dumps/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2": (
        105,
        99,
        1,
        0,
        0,
        1,
    ),
    "dumps/dbpedia-mini-simple-wiki.xml.bz2": (1, 0, 0, 0, 0, 0),
    "dumps/dbpedia-mini-sco-wiki.xml.bz2": (1, 0, 0, 0, 0, 0),
    "dumps/dbpedia-mini-commons-wiki.xml.bz2": (0, 0, 0, 0, 0, 1),
    "dumps/ltgwiki-tiny-latest-pages-articles.xml": (7, 0, 0, 0, 0, 1),
    "dumps/enwiki-20090902-pages-articles-sample.xml": (0, 0, 0, 0, 4, 0),
    "dumps/pywikibot/article-pear-0.10.xml": (1, 0, 0, 0, 0, 0),
    "dumps/pywikibot/pair-0.10.xml": (1, 0, 1, 1, 0, 0),
    "dumps/pywikibot/article-pyrus.xml.bz2": (0, 0, 0, 0, 1, 0),
    f"{MIRROR}/enwiki-latest-pages-articles.xml.bz2": (138, 113, 1, 0, 0, 1),
    f"{MIRROR}/enwiki-latest-pages-articles-multistream.xml.bz2": (138, 113, 1, 0, 0, 1),
}
REFUSED = {
    "dumps/bgwiki-latest-pages-articles-shortened.xml.bz2": "UTF-16",
    "dumps/enwiki-table-markup.xml.bz2": "no <siteinfo>",
}
DROPPED = (
    *("redirects", "other namespaces", "older revisions", "pages without a namespace"),
    "empty articles",
)


@pytest.mark.parametrize("name", DUMPS)
def test_real_dumps_give_their_articles(real_data, name):
    documents, counts = read(real_data / name)
    dropped = [counts[f"dropped: {what}"] for what in DROPPED]
    assert (len(documents), *dropped) == DUMPS[name]


def test_real_dumps_say_the_same_however_they_are_compressed(real_data):
    plain, multistream = (read(real_data / name) for name in DUMPS if name.startswith(MIRROR))
    assert plain == multistream


@pytest.mark.parametrize("name", REFUSED)
def test_real_odd_dumps_are_refused(real_data, name):
    with pytest.raises(DataError, match=REFUSED[name]):
        read(real_data / name)


def test_no_real_dump_is_left_out_here(real_data):
    names = {str(path.relative_to(real_data)) for path in (real_data / "dumps").rglob("*.*")}
    assert names == {name for name in (*DUMPS, *REFUSED) if not name.startswith(MIRROR)}
