import pytest
import torch
from transformers import pipeline

from shards.errors import DataError
from train.fill import fill

TEXT = "Conder el [MASK] fi in [MASK]."


def test_fillings_are_those_of_transformers(run_folder):
    generator = str(run_folder / "hf" / "generator")
    theirs = pipeline("fill-mask", model=generator, tokenizer=generator, device="cpu", top_k=4)
    for ours, expected in zip(fill(run_folder, TEXT, 4), theirs(TEXT), strict=True):
        assert ours.tokens == [one["token_str"] for one in expected]
        torch.testing.assert_close(ours.probabilities, [one["score"] for one in expected])


def test_an_exported_folder_fills_as_its_run_does(run_folder):
    assert list(fill(run_folder / "hf", TEXT, 3)) == list(fill(run_folder, TEXT, 3))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("no mask", r"the text has no \[MASK\]"), ("[MASK] el " * 40, "the model takes 64")],
)
def test_a_text_that_cannot_be_filled_is_refused(run_folder, text, problem):
    with pytest.raises(DataError, match=problem):
        list(fill(run_folder, text, 3))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(DataError, match="no exported model"):
        list(fill(tmp_path, TEXT, 3))
