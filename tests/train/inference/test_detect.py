import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from train.inference.detect import Detection, Verdict, detect, marked

TEXT = "Conder, el Fi in naïve. A typed [MASK] is text"


def test_probabilities_are_the_sigmoids_of_transformers(judge):
    found = detect(judge.loaded, TEXT)
    with torch.no_grad():
        logits = judge.theirs(judge.ids(TEXT)).logits[0, 1:-1]
    probabilities = torch.tensor([one.probability for one in found.verdicts])
    torch.testing.assert_close(probabilities, logits.sigmoid())
    assert min(probabilities) < 0.5 < max(probabilities)
    expected = judge.loaded.tokenizer.encode(TEXT, add_special_tokens=False)
    assert [one.token for one in found.verdicts] == expected.tokens
    assert [(one.start, one.end) for one in found.verdicts] == expected.offsets


def test_a_head_in_the_side_file_of_a_run_judges(run_folder):
    from train.inference.loaded import Loaded

    loaded = Loaded(run_folder)
    assert loaded.main.transformer.config.num_hidden_groups == 1
    assert len(detect(loaded, TEXT).verdicts) > 5


def test_marks_are_brackets_or_colours_around_whole_runs():
    verdicts = [Verdict("he", 0, 2, 0.1), Verdict("el", 3, 5, 0.7), Verdict("##la", 5, 7, 0.9)]
    found = Detection("he ella", tuple(verdicts))
    assert marked(found, 0.5, in_colour=False) == "he [[ella]]"
    assert marked(found, 0.8, in_colour=False) == "he el[[la]]"
    assert marked(found, 0.8, in_colour=True) == "he el\x1b[30m\x1b[43mla\x1b[0m"
    assert marked(found, 0.95, in_colour=False) == "he ella"


@pytest.mark.parametrize(
    ("text", "problem"), [("", "the text is empty"), ("el " * 40, "42 tokens, the model takes 32")]
)
def test_a_text_that_cannot_be_judged_is_refused(judge, text, problem):
    with pytest.raises(DataError, match=problem):
        detect(judge.loaded, text)


def test_a_model_that_judges_nothing_is_refused(masked):
    with pytest.raises(DataError, match="does not tell replaced tokens: give an ELECTRA pair"):
        detect(masked.loaded, TEXT)


@given(st.text(max_size=16))
@settings(max_examples=40)
def test_marks_taken_away_leave_the_text(judge, text):
    text = "el " + text
    shown = marked(detect(judge.loaded, text), 0.0, in_colour=False)
    if "[" not in text and "]" not in text:
        assert shown.replace("[[", "").replace("]]", "") == text
