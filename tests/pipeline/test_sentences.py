import re
from itertools import groupby

import pytest
import sentencex
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import SENTENCE_LANGUAGES, PackConfig
from pipeline.sentences import (
    HEADING_LINES,
    HEADING_WORDS,
    LONG_SENTENCE,
    LONGEST_PIECE,
    QUOTES,
    joins_next,
    paragraphs_of,
    sentence_starts,
    split_document,
)
from tests.pipeline.golden_rules import FAILED, RULES

PARAGRAPHS = st.text().filter(lambda text: text.strip() and "\n" not in text)
HEADING, PROSE = "A Heading", "A sentence ends with a stop."


def sentences(paragraph: str) -> list[str]:
    starts = sentence_starts(paragraph)
    ends = [*starts[1:], len(paragraph)]
    return [paragraph[start:end] for start, end in zip(starts, ends, strict=True)]


def test_paragraphs_are_lines_that_are_not_blank():
    assert paragraphs_of("one\n\ntwo\n \n\n three \n") == ["one", "two", " three "]


@pytest.mark.parametrize("text", ["One is here. Two is there. ", "word ", "x", '"'])
def test_a_paragraph_of_a_million_characters_is_split_in_passing(text: str):
    paragraph = (text * (10**6 // len(text))).strip()
    assert len(paragraph) > 9 * LONGEST_PIECE
    starts = sentence_starts(paragraph)
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert len(starts) == max(1, paragraph.count("."))


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n"])
def test_a_blank_text_has_no_paragraphs(text: str):
    assert paragraphs_of(text) == []


def test_only_a_newline_ends_a_paragraph():
    text = "a\rb\x0bc\x0cd\x85e\u2028f\u2029g"
    assert paragraphs_of(text) == [text]


def test_the_space_before_a_sentence_belongs_to_it():
    assert sentences("One is here. Two is there.  Three!") == [
        "One is here.",
        " Two is there.",
        "  Three!",
    ]


@pytest.mark.parametrize(
    "paragraph",
    [
        "Mr. Smith met Dr. Jones at 5 p.m. on Jan. 5.",
        "It cost $3.50 in the U.S. in 1990.",
        "See www.example.com for more",
        "No end",
    ],
)
def test_abbreviations_and_numbers_end_no_sentence(paragraph: str):
    assert sentences(paragraph) == [paragraph]


def test_space_at_the_end_begins_no_sentence():
    assert sentences("One. Two. ") == ["One.", " Two. "]


@example("Vitamin A\N{NO-BREAK SPACE}. It is good.")
@example("A\x85.")
@example("One.\u2028Two.\u2029Three.\x85Four.")
@given(PARAGRAPHS)
def test_sentences_begin_at_0_and_increase(paragraph: str):
    starts = sentence_starts(paragraph)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < len(paragraph)


def by_definition(paragraph: str) -> list[int]:
    """Say what a sentence is, however slowly."""
    plain = re.sub(r"\s", " ", paragraph)
    found, begin = [0], 0
    for piece in sentencex.segment("en", plain):
        found.append(begin)
        if len(piece) > LONG_SENTENCE:
            inside = begin
            for part in sentencex.segment("en", re.sub(f"[{QUOTES}]", " ", piece)):
                found.append(inside)
                inside += len(part)
        begin += len(piece)
    starts = {0}
    for start in found:
        if re.match(rf"[ {QUOTES}]*([])}}]|$)", plain[start : start + 4]):
            continue
        if re.sub(f"^[ {QUOTES}]*", "", plain[start : start + 4])[:1].islower():
            continue
        before = re.sub(f" [{QUOTES}]$", "", plain[:start])
        starts.add(len(before.rstrip(" ")))
    return sorted(starts)


SIGNS = ["Mr. ", "U.S. ", "he said ", "He said ", ". ", "! ", '." ', ". “", ' "', "on and on " * 15]
TEXT_LIKE = st.lists(
    st.sampled_from([*"aBé3([{)]}“”'\".!?,:… \t\xa0\u2003", *SIGNS]),
).map("".join)


@example("Oh! what is this? He knows. ] [No.")
@example('"' + "He went home. She did not. " * 20 + '" Then "' + "It rained. " * 50 + '"')
@given(TEXT_LIKE.filter(str.strip))
def test_sentences_are_what_their_definition_says(paragraph: str):
    assert sentence_starts(paragraph) == by_definition(paragraph)


@given(st.lists(TEXT_LIKE | st.text()).map("\n".join))
def test_a_document_is_split_as_its_paragraphs_are(text: str):
    paragraphs, starts = split_document(text)
    assert paragraphs == paragraphs_of(text)
    assert starts == [sentence_starts(paragraph) for paragraph in paragraphs]


@pytest.mark.parametrize(
    "paragraph",
    [
        "Lord! when you have enough, what next?",
        "“Which are they?” why, as you please.",
        "[That fell a thousand centuries ago. ]",
        "He was born in Ulyssipont. anno 1735.",
    ],
)
def test_no_sentence_begins_with_a_small_letter_or_a_closing_bracket(paragraph: str):
    assert sentences(paragraph) == [paragraph]


def test_a_page_of_direct_speech_is_split():
    speech = "“" + "I went home. She did not. " * 20 + "”"
    assert len(sentences(speech)) >= 40


def test_43_of_48_golden_rules_are_kept():
    broken = {
        number
        for number, rule in enumerate(RULES, 1)
        if [part.strip() for part in sentences(rule.replace("|", " "))] != rule.split("|")
    }
    assert len(RULES) == 48
    assert broken == FAILED


@pytest.mark.parametrize("language", sorted({*SENTENCE_LANGUAGES} - {"en"}))
def test_a_language_to_choose_has_rules_of_its_own(language: str):
    text = "Go se. Xan yes. A. Xan yes. Ab; Xa. Ab: Xa. An oz. Xan yes."
    assert sentence_starts(text, language) != sentence_starts(text, "en")


@pytest.mark.parametrize("language", ["zh", "simple", "EN", "english", ""])
def test_a_language_without_rules_is_refused_with_those_that_have_some(language: str):
    with pytest.raises(ValueError, match="has no rules for sentences: choose the nearest of am, "):
        PackConfig(language=language)


PROSE_LIKE = st.lists(
    st.sampled_from(["Dr.", "a", "B", "end.", "what?", "no!", "“yes.”", "3.5", "—", "(c).", "é"]),
    min_size=1,
).map(" ".join)


@given(PROSE_LIKE)
def test_a_sentence_never_ends_with_the_space_before_the_next(paragraph: str):
    assert all(part == part.rstrip() for part in sentences(paragraph))


def test_a_heading_is_one_sentence_with_what_follows():
    assert joins_next([HEADING, PROSE, PROSE]) == [True, False, False]


def test_headings_in_a_row_join_up_to_a_limit():
    assert joins_next([HEADING] * HEADING_LINES + [PROSE]) == [True] * HEADING_LINES + [False]


def test_more_lines_in_a_row_are_a_list_and_join_nothing():
    lines = [HEADING] * (HEADING_LINES + 1) + [PROSE]
    assert joins_next(lines) == [False] * len(lines)


def test_headings_at_the_end_are_one_sentence_with_what_stands_before():
    assert joins_next([PROSE, HEADING]) == [True, False]
    assert joins_next([PROSE, PROSE, HEADING, HEADING]) == [False, True, True, False]
    assert joins_next([HEADING, PROSE, HEADING]) == [True, True, False]


def test_a_document_of_headings_is_one_sentence():
    assert joins_next([HEADING]) == [False]
    assert joins_next([HEADING] * HEADING_LINES) == [True] * (HEADING_LINES - 1) + [False]


def test_a_list_at_the_end_joins_nothing():
    assert joins_next([PROSE] + [HEADING] * (HEADING_LINES + 1)) == [False] * (HEADING_LINES + 2)


@pytest.mark.parametrize("end", [".", "!", "?", ":", ";", ",", "…", '."', "?”", ".)", ".']"])
def test_a_line_with_punctuation_at_its_end_is_no_heading(end: str):
    assert joins_next([f"Not a heading{end}", PROSE]) == [False, False]


def test_a_long_line_without_a_stop_is_no_heading():
    assert joins_next([" ".join(["word"] * HEADING_WORDS), PROSE]) == [True, False]
    assert joins_next([" ".join(["word"] * (HEADING_WORDS + 1)), PROSE]) == [False, False]


def test_no_paragraphs_join_nothing():
    assert joins_next([]) == []


@given(st.lists(st.sampled_from([HEADING, PROSE])))
def test_what_is_joined_is_always_followed_by_something(paragraphs: list[str]):
    joins = joins_next(paragraphs)
    assert len(joins) == len(paragraphs)
    assert not any(joins[-1:])
    runs = [(kind, len(list(run))) for kind, run in groupby(paragraphs)]
    place = 0
    for kind, count in runs:
        alone = not any(joins[max(0, place - 1) : place + count])
        if kind == HEADING and count <= HEADING_LINES and len(runs) > 1:
            assert not alone
        place += count
