import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clean import break_lines, join, paragraphs, tidy

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


def test_line_breaks_of_html_separate_paragraphs():
    counts = Counter()
    assert break_lines("a<br />b<BR>c < d", counts) == "a\n\nb\n\nc < d"
    assert counts == {"cleaned: <br /> tags": 2}


@pytest.mark.parametrize("unit", ["\n ", " ", "<br ", "a.\n", "\x00\n"])
def test_cleaning_is_linear(unit):
    text = unit * (200_000 // len(unit))
    start = time.perf_counter()
    paragraphs(break_lines(text, Counter()), Counter())
    assert time.perf_counter() - start < 2
