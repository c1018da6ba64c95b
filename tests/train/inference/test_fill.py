import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import pipeline

from shards.errors import DataError
from train.inference.fill import fill
from train.inference.loaded import Loaded

TEXT = "Conder el [MASK] fi in [MASK]."


def test_fillings_are_those_of_transformers(run_folder):
    generator = str(run_folder / "hf" / "generator")
    theirs = pipeline("fill-mask", model=generator, tokenizer=generator, device="cpu", top_k=4)
    for ours, expected in zip(fill(Loaded(run_folder), TEXT, 4), theirs(TEXT), strict=True):
        assert ours.tokens == [one["token_str"] for one in expected]
        torch.testing.assert_close(ours.probabilities, [one["score"] for one in expected])


def test_fillings_are_the_likeliest_by_the_logits_of_transformers(masked):
    ids = torch.tensor([masked.loaded.masking_tokenizer.encode(TEXT).ids])
    with torch.no_grad():
        logits = masked.theirs(ids).logits[0][ids[0] == 4]
    for ours, expected in zip(fill(masked.loaded, TEXT, 600), logits.softmax(-1), strict=True):
        torch.testing.assert_close(torch.tensor(ours.probabilities), expected.sort().values.flip(0))


def test_an_exported_folder_fills_as_its_run_does(run_folder):
    assert fill(Loaded(run_folder / "hf"), TEXT, 3) == fill(Loaded(run_folder), TEXT, 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no mask", r"the text has no \[MASK\]"),
        ("[MASK] el " * 40, "the model takes 32"),
        ("", "the text is empty"),
        (" \n", "the text is empty"),
    ],
)
def test_a_text_that_cannot_be_filled_is_refused(masked, text, problem):
    with pytest.raises(DataError, match=problem):
        fill(masked.loaded, text, 3)


def test_more_fillings_than_entries_are_refused(masked):
    with pytest.raises(DataError, match="--top 601 is more than the 600 entries"):
        fill(masked.loaded, TEXT, 601)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(DataError, match="no exported model"):
        Loaded(tmp_path)


def test_a_model_that_fills_nothing_in_is_refused(causal, judge):
    for saved in (causal, judge):
        with pytest.raises(DataError, match="does not fill in masked tokens"):
            fill(saved.loaded, TEXT)


@given(st.text(max_size=12), st.text(max_size=12))
@settings(max_examples=40)
def test_any_text_around_a_mask_is_filled_in(masked, before, after):
    (filling,) = fill(masked.loaded, f"{before} [MASK] {after}", 2)
    assert 1 >= filling.probabilities[0] >= filling.probabilities[1] > 0
