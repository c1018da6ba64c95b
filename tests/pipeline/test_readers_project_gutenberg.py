import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.project_gutenberg import (
    LARGEST_NOTICE,
    strip_book_marks,
    strip_project_gutenberg,
)

anything = st.text(st.characters(codec=None))
lines = st.lists(
    st.sampled_from(
        [
            "*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***",
            "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*",
            "*** END OF THE PROJECT GUTENBERG EBOOK EMMA ***",
            "End of Project Gutenberg's Emma, by Jane Austen",
            "The Project Gutenberg EBook of Emma",
            "Some words.",
            "",
        ]
    )
).map("\n".join)


def book(body):
    return f"""The Project Gutenberg EBook of Emma

*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***
Produced by A Volunteer

{body}

End of the Project Gutenberg EBook of Emma
*** END OF THIS PROJECT GUTENBERG EBOOK EMMA ***
Project Gutenberg Licence
"""


def strip(text):
    counts = Counter()
    return strip_project_gutenberg(text, counts), counts


@given(anything | lines)
def test_any_text_is_kept_or_counted(text):
    kept, counts = strip(text)
    if not counts:
        assert kept == text
    else:
        dropped = counts["dropped: bytes around Project Gutenberg books"]
        separators = 2 * 2 * counts["cleaned: Project Gutenberg books"]
        assert len(kept.encode()) - separators + dropped == len(text.encode())


def test_only_the_book_between_the_markers_is_kept():
    kept, counts = strip(book("Emma Woodhouse, handsome."))
    assert kept.strip() == "Emma Woodhouse, handsome."
    assert counts["cleaned: Project Gutenberg books"] == 1
    assert counts["dropped: bytes around Project Gutenberg books"] > 200


def test_every_one_of_five_books_is_kept():
    bodies = [f"This is book {number}." for number in range(5)]
    kept, counts = strip("".join(map(book, bodies)))
    assert [line for line in kept.split("\n") if line] == bodies
    assert counts["cleaned: Project Gutenberg books"] == 5


@pytest.mark.parametrize(
    "text",
    [
        "Presented by Project Gutenberg on its anniversary.\n\nChapter I",
        "A note.\nEnd of Project Gutenberg discussion was in 2003.\nMore of it.",
        "A note.\n*** END OF THE PROJECT GUTENBERG EBOOK EMMA ***\nMore of it.",
        "A note.\n*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***\nCut short.",
    ],
)
def test_without_a_pair_of_markers_all_is_kept(text):
    assert strip(text) == (text, Counter())


def test_a_sentence_within_a_book_does_not_end_it():
    body = "One.\n\nEnd of Project Gutenberg discussion was in 2003.\n\nTwo."
    assert strip(book(body))[0].strip() == body


def test_own_text_around_a_book_is_kept():
    own = "My own words. " * (LARGEST_NOTICE // 10)
    kept, _ = strip(f"A short note.\n\n{book('The book.')}{own}")
    assert "The book." in kept
    assert own in kept
    marker = "*** START OF THE PROJECT GUTENBERG EBOOK"
    kept, _ = strip(f"A short note.\n{book('x').partition(chr(10))[2]}{marker}\nCut short.")
    assert "A short note." in kept
    assert kept.endswith("Cut short.")


def test_illustrations_and_emphasis_are_unmarked():
    counts = Counter()
    text = "A _very_ old\n[Illustration: A\nhouse] snake_case_name."
    assert strip_book_marks(text, counts) == "A very old\n snake_case_name."
    assert counts == {"cleaned: illustrations": 1, "cleaned: emphasis marks": 1}


@pytest.mark.parametrize(
    "unit",
    [
        "_a ",
        "[Illustration",
        "\n ",
        "*** START OF THE PROJECT GUTENBERG\n",
        "End of Project Gutenberg's\n",
        "*** START OF THE PROJECT GUTENBERG\n*** END OF THE PROJECT GUTENBERG\n",
    ],
)
def test_stripping_is_linear(unit):
    text = unit * (200_000 // len(unit))
    start = time.perf_counter()
    strip_book_marks(strip_project_gutenberg(text, Counter()), Counter())
    assert time.perf_counter() - start < 2
