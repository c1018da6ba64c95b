import bz2
import pickle
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import FetchConfig
from pipeline.documents import Document
from pipeline.readers import wiki_dump, wikipedia
from shards.errors import DataError

CONFIG = FetchConfig()

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


COUNTS = {
    "dropped: redirects": 1,
    "dropped: other namespaces": 1,
    "dropped: older revisions": 1,
    "dropped: empty articles": 1,
    "dropped: paragraphs with a formula or code left out": 1,
    "cleaned: empty brackets": 1,
}


def dump(pages, header=HEADER, footer=FOOTER):
    return (header + "".join(pages) + footer).encode()


def read(path):
    counts = Counter()
    parts = list(wikipedia.divide(wikipedia.find(path), CONFIG, 1))
    assert parts == list(wikipedia.divide(wikipedia.find(path), CONFIG, 2))
    assert pickle.loads(pickle.dumps(parts)) == parts
    files = [path] if path.is_file() else wikipedia.find(path).values()
    assert sum(part.input_bytes for part in parts) == sum(file.stat().st_size for file in files)
    documents = [document for part in parts for document in wikipedia.read(part, CONFIG, counts)]
    return documents, counts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dumps")


@pytest.fixture
def write(tmp_path):
    def write_dump(raw, name="x.xml.bz2"):
        path = tmp_path / name
        path.write_bytes(raw if name.endswith(".xml") else bz2.compress(raw))
        return path

    return write_dump


@pytest.mark.parametrize("name", ["x.xml.bz2", "x.xml", "x.bz2"])
def test_articles_are_extracted_and_the_rest_is_counted(write, name):
    documents, counts = read(write(dump(PAGES), name))
    assert documents == EXPECTED
    assert counts == COUNTS


MANY_PAGES = [
    page(
        "Ünïcödé 漢字 𝔘", "Naïve café. 我们在这里。 𝔘 &lt;page&gt; &lt;/page&gt; stays.", identity=7
    ),
    *PAGES,
    page("Last", "The end.", "The very end.", identity=99),
]


@given(
    cuts=st.lists(st.integers(0, len(dump(MANY_PAGES))), max_size=12),
    part=st.integers(1, 3000),
    piece=st.integers(8, 1000),
)
def test_where_a_dump_is_cut_changes_nothing(folder, cuts, part, piece):
    raw = dump(MANY_PAGES)
    cuts = [0, *sorted(cuts), len(raw)]
    streams = [raw[start:stop] for start, stop in pairwise(cuts)]
    (folder / "many.xml.bz2").write_bytes(b"".join(map(bz2.compress, streams)))
    (folder / "plain.xml").write_bytes(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiki_dump, "LARGEST_PART", {".bz2": part, ".xml": part})
        patch.setattr(wiki_dump, "PIECE_BYTES", piece)
        made = [read(folder / name) for name in ("many.xml.bz2", "plain.xml")]
    assert made[0] == made[1]
    documents, counts = made[0]
    assert [document.id for document in documents] == ["7", "12", "13", "99"]
    assert documents[1:3] == EXPECTED
    assert documents[3].text == "The very end."
    assert counts == COUNTS | {"dropped: older revisions": 2}


@pytest.mark.parametrize("part", [5_000, 150_000, 1 << 30])
def test_one_stream_of_many_blocks_is_divided(tmp_path, monkeypatch, part):
    # Numbers compress to a third, and 100 kB of them make a block.
    texts = [
        "".join(f"{number * 7919 % 1000003} " for number in range(n, n + 9000)) for n in range(9)
    ]
    path = tmp_path / "x.xml.bz2"
    pages = [page(f"P{n}", text, identity=n) for n, text in enumerate(texts)]
    path.write_bytes(bz2.compress(dump(pages), 1))
    monkeypatch.setattr(wiki_dump, "LARGEST_PART", {".bz2": part, ".xml": part})
    documents, _ = read(path)
    assert [document.text for document in documents] == [text.strip() for text in texts]


def test_the_parts_of_a_split_dump_are_read_in_their_order(tmp_path):
    names = ("x-pages-articles2.xml-p30p99.bz2", "x-pages-articles10.xml-p1000p1001.bz2")
    for number, name in enumerate(("x-pages-articles2.xml-p4p29.bz2", *names)):
        raw = dump([page(f"T{number}", "Text.", identity=number)])
        (tmp_path / name).write_bytes(bz2.compress(raw))
    for name in ("x-pages-articles-multistream-index2.txt-p4p29.bz2", "sha1sums.txt"):
        (tmp_path / name).write_bytes(b"no dump")
    documents, _ = read(tmp_path)
    assert [document.id for document in documents] == ["0", "1", "2"]


def test_a_dump_put_together_from_several_is_read(write):
    documents, _ = read(write(dump(PAGES) + dump([page("B", "Text.", identity=3)])))
    assert [document.id for document in documents] == ["12", "13", "3"]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (dump(PAGES, footer=""), r"x\.xml\.bz2 ends without </mediawiki>"),
        (dump(PAGES).decode().encode("utf-16"), "is UTF-16, not UTF-8"),
        (dump(PAGES, header="<mediawiki>\n"), "has no <siteinfo>"),
        (b"<html>", "no MediaWiki dump: it begins"),
        (b"", "no MediaWiki dump"),
        (dump([page("A", "XX")]).replace(b"XX", b"\xe9"), "page 'A' is not UTF-8"),
        (dump(PAGES).replace(b"  </page>\n</med", b"</med"), "ends within a page"),
    ],
)
@pytest.mark.parametrize("name", ["x.xml.bz2", "x.xml"])
def test_a_dump_that_is_none_is_named(write, raw, problem, name):
    with pytest.raises(DataError, match=problem.replace(r"x\.xml\.bz2", re.escape(name))):
        read(write(raw, name))


def test_a_dump_without_namespaces_gives_nothing_and_is_counted(write):
    documents, counts = read(write(dump([page("A", "Text.", namespace=None)] * 2)))
    assert documents == []
    assert counts == {"dropped: pages without a namespace": 2}


def test_a_later_file_that_is_cut_short_is_found_before_anything_is_read(tmp_path):
    (tmp_path / "a1.xml-p1p9.bz2").write_bytes(bz2.compress(dump(PAGES)))
    (tmp_path / "a2.xml-p10p99.bz2").write_bytes(bz2.compress(dump(PAGES))[:-30])
    with pytest.raises(DataError, match=r"a2\.xml-p10p99\.bz2 is truncated or damaged"):
        next(wikipedia.divide(wikipedia.find(tmp_path), CONFIG, 1))


def test_streams_that_are_missing_at_the_end_are_noticed(tmp_path):
    path = tmp_path / "x.xml.bz2"
    path.write_bytes(b"".join(bz2.compress(text.encode()) for text in (HEADER, *PAGES)))
    with pytest.raises(DataError, match="ends without </mediawiki>"):
        read(path)


@given(st.data())
def test_a_flipped_bit_is_found_or_harmless(folder, data):
    streams = [bz2.compress(text.encode()) for text in (HEADER, *PAGES, FOOTER)]
    raw = bytearray(b"".join(streams))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    path = folder / "flipped.xml.bz2"
    path.write_bytes(raw)
    try:
        documents, problem = read(path)[0], str(path)
    except DataError as error:
        documents, problem = EXPECTED, error.problem
    assert documents == EXPECTED
    assert str(path) in problem


@pytest.mark.parametrize("name", ["x.xml.bz2", "x.xml"])
def test_a_page_that_is_too_large_is_named(write, monkeypatch, name):
    monkeypatch.setattr(wiki_dump, "LARGEST_PAGE", 2000)
    monkeypatch.setattr(wiki_dump, "PIECE_BYTES", 100)
    path = write(dump([*PAGES, page("Large", "Text. " * 500)]), name)
    with pytest.raises(DataError, match="page 'Large' has over"):
        read(path)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("About {{convert|9.9|km|mi}} long.", "About 9.9 km long."),
        ("About {{cvt|2|-|5|C|F}}.", "About 2 to 5 °C."),
        ("{{lang|fr|[[sans-culottes]]}} {{transl|ja|dan}}", "sans-culottes dan"),
        ("Founded {{as of|1990|lc=y}} ({{circa|1150}}).", "Founded as of 1990 (c. 1150)."),
        ("It cost {{US$|5 million|long=no}} ({{cn}}).", "It cost US$5 million."),
        (
            "One&lt;ref name=&quot;a/b&quot;&gt;{{cite|x}} [http://a b]&lt;/ref&gt; two"
            "&lt;ref name=c /&gt; three{{efn|d&lt;ref&gt;e}}&lt;/ref&gt; four.",
            "One two three four.",
        ),
    ],
)
def test_templates_and_references_are_shown_or_left_out(write, wikitext, text):
    documents, _ = read(write(dump([page("A", wikitext)])))
    assert [document.text for document in documents] == [text]


def test_a_page_without_text_is_empty(write):
    raw = dump([page("A", "XX"), page("B", "Text.", identity=2)])
    documents, counts = read(write(re.sub(rb"<text[^>]*>XX</text>", b'<text bytes="0" />', raw)))
    assert [document.id for document in documents] == ["2"]
    assert counts["dropped: empty articles"] == 1


@pytest.mark.parametrize("name", ["x.txt", "x.7z", "x.xml.gz"])
def test_a_file_of_another_kind_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(DataError, match=r"no \.xml\.bz2 or \.xml file"):
            wikipedia.find(path)


def test_the_extractor_is_imported_by_the_reading_process_alone():
    code = "import sys, pipeline.readers.wikipedia; sys.exit('wikiextractor' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
