from hypothesis import given
from hypothesis import strategies as st

from tests.train.report.reading import Reading
from train.report.markup import escape, section, table, tag

ANY = st.text(st.characters(codec=None))


@given(ANY, ANY)
def test_any_text_stays_text(one, other):
    page = tag("p", escape(one), title=other) + table((one, other), [(other, one)])
    page.encode("utf-8")
    reading = Reading(page)
    assert {name for name, _ in reading.tags} <= {"p", "div", "table", "thead", "tbody"} | {
        *("tr", "th", "td")
    }
    assert len(reading.all("td")) == 2


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"))))
def test_what_can_be_written_is_read_back(text):
    reading = Reading(tag("p", escape(text), title=text))
    assert reading.text == text
    assert reading.all("p")[0]["title"] == text


def test_a_section_without_content_is_not_there():
    assert section("a", "A", "") == ""
