import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clean import (
    break_lines,
    join,
    paragraphs,
    repair_wiki_paragraph,
    strip_book_marks,
    strip_project_gutenberg,
    tidy,
)

anything = st.text(st.characters(codec=None))
markup = st.text(st.sampled_from("()[]{}*_&;:,.\"'<>/ \n\t#aZ9=\\"))


@given(anything | markup)
def test_paragraphs_are_single_tidy_lines(text):
    for paragraph in paragraphs(text, Counter()):
        assert paragraph
        assert paragraph == tidy(paragraph, Counter())
        assert "\n" not in paragraph
        paragraph.encode()  # no lone surrogate is left


@given(anything | markup)
def test_cleaning_a_clean_text_changes_nothing(text):
    once = paragraphs(text, Counter())
    if len(once) > 1:
        assert paragraphs(join(once), Counter()) == once


@given(anything | markup)
def test_every_repair_takes_any_text(text):
    counts = Counter()
    repaired = repair_wiki_paragraph(tidy(text, counts), counts)
    assert repaired == tidy(repaired, counts)
    strip_book_marks(strip_project_gutenberg(break_lines(text, counts), counts), counts)


def test_what_is_removed_is_counted():
    counts = Counter()
    assert tidy("\ufeffa\x00\x07b\tc\ud800", counts) == "ab c\ufffd"
    assert counts == {"cleaned: control characters": 3, "cleaned: lone surrogates": 1}


def test_wrapped_lines_between_blank_lines_are_joined():
    assert paragraphs("One\r\ntwo.\n \n\n Three\n", Counter()) == ["One two.", "Three"]


def test_lines_are_paragraphs_where_no_line_is_blank():
    assert paragraphs("One.\nTwo.", Counter()) == ["One.", "Two."]


def test_a_wrapped_text_without_blank_lines_is_unwrapped():
    counts = Counter()
    text = "\n".join(["x" * 60, "x" * 70, "short."] * 10)
    assert paragraphs(text, counts) == [f"{'x' * 60} {'x' * 70} short."] * 10
    assert counts == {"cleaned: lines without blank line unwrapped": 1}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('an "anarchist" () was', 'an "anarchist" was'),
        ("Lincoln (; February 12, 1809) was", "Lincoln (February 12, 1809) was"),
        ("Angola (;), officially the Republic (), is", "Angola, officially the Republic, is"),
        ("Albania (; or), officially", "Albania, officially"),
        ("Schopenhauer (, ; 22 February 1788) was", "Schopenhauer (22 February 1788) was"),
        ('against Stalin (""), and in', "against Stalin, and in"),
        ('used in "" episode "Men"', 'used in episode "Men"'),
        ("Greek:, ; Doric", "Greek: Doric"),
        ("&amp;c. __NOTOC__ R&amp;D", "&c. R&D"),
        ("<templatestyles src=x/>Text", "Text"),
        ("Call main() of std::vector.", "Call main() of std::vector."),
        ("with formula_3 being the mean", ""),
        ("*Core languages", "Core languages"),
    ],
)
def test_holes_that_templates_leave_are_mended(left, right):
    assert repair_wiki_paragraph(left, Counter()) == right


BOOK = """The Project Gutenberg EBook of Emma

*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***
Produced by A Volunteer

Emma Woodhouse, handsome.

End of the Project Gutenberg EBook of Emma
*** END OF THIS PROJECT GUTENBERG EBOOK EMMA ***
Licence"""


def test_only_the_book_between_the_markers_is_kept():
    counts = Counter()
    assert strip_project_gutenberg(BOOK, counts).strip() == "Emma Woodhouse, handsome."
    assert counts == {
        "cleaned: Project Gutenberg headers": 1,
        "cleaned: Project Gutenberg licences": 1,
    }


def test_a_book_without_markers_is_kept_whole():
    text = "Presented by Project Gutenberg on its anniversary.\n\nChapter I"
    assert strip_project_gutenberg(text, Counter()) == text


def test_illustrations_and_emphasis_are_unmarked():
    counts = Counter()
    text = "A _very_ old\n[Illustration: A\nhouse] snake_case_name."
    assert strip_book_marks(text, counts) == "A very old\n snake_case_name."
    assert counts == {"cleaned: illustrations": 1, "cleaned: emphasis marks": 1}


@pytest.mark.parametrize("unit", ["(", "(; ", "_a ", '"" ', ",;", "&", "[Illustration", "\n ", " "])
def test_cleaning_is_linear(unit):
    text = unit * (200_000 // len(unit))
    start = time.perf_counter()
    paragraphs(strip_book_marks(strip_project_gutenberg(text, Counter()), Counter()), Counter())
    repair_wiki_paragraph(text, Counter())
    assert time.perf_counter() - start < 2
