import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clean import tidy
from pipeline.readers.wiki_clean import repair_wiki_paragraph

anything = st.text(st.characters(codec=None))
markup = st.text(st.sampled_from("()[]{}*_&;:,.\"'<>/ \n\t#aZ9=\\"))


@given(anything | markup)
def test_a_repaired_paragraph_is_tidy(text):
    repaired = repair_wiki_paragraph(tidy(text, Counter()), Counter())
    assert repaired == tidy(repaired, Counter())


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


@pytest.mark.parametrize("unit", ["(", "(; ", '"" ', ",;", "&", "<ref ", "__A"])
def test_repairing_is_linear(unit):
    text = unit * (200_000 // len(unit))
    start = time.perf_counter()
    repair_wiki_paragraph(text, Counter())
    assert time.perf_counter() - start < 2
