"""What a masked model makes of a text, by the paper and the logits of `transformers`."""

import shutil

import torch
import transformers as hf

from tests.train.inference.conftest import SIZES
from train.inference.fill import fill
from train.inference.generate import generate, special_tokens
from train.inference.loaded import Loaded
from train.inference.settings import GenerateSettings


def test_masks_are_filled_in_as_the_paper_says(masked):
    tokenizer, forbidden = masked.loaded.masking_tokenizer, special_tokens(masked.loaded)
    assert forbidden == [0, 1, 2, 3, 4]
    text = "Conder [MASK] el [MASK] [MASK] fi [MASK] [MASK] [MASK] in [MASK]."
    row = torch.tensor(tokenizer.encode(text).ids)
    places = [place for place, id_ in enumerate(row.tolist()) if id_ == 4]
    confidence = dict.fromkeys(places, 0.0)
    for round_ in range(3):
        doubtful = sorted(places, key=confidence.get)[: 7 * (3 - round_) // 3]
        row[doubtful] = 4
        with torch.no_grad():
            probabilities = masked.theirs(row[None]).logits[0].softmax(-1)
        probabilities[:, forbidden] = 0
        for place in doubtful:
            row[place] = probabilities[place].argmax()
            confidence[place] = float(probabilities[place].max())
    made = generate(masked.loaded, text, GenerateSettings(rounds=3))
    assert made.text == tokenizer.decode(row.tolist())
    assert (made.method, made.tokens) == ("mask-predict", 7)


def test_without_masks_a_masked_model_fills_in_some_after_the_text(masked):
    made = generate(masked.loaded, "Conder el", GenerateSettings(max_new_tokens=5))
    assert made.text.startswith("conder el ")
    assert made.tokens == 5
    typed = "Conder el " + " ".join(["[MASK]"] * 5)
    assert generate(masked.loaded, typed).text == made.text


def test_without_a_number_there_are_as_many_masks_as_there_is_room_for(masked):
    assert generate(masked.loaded, "Conder el").tokens == 32 - masked.ids("Conder el").shape[1]


def test_entries_without_a_token_are_never_filled_in(save_model):
    torch.manual_seed(0)
    theirs = hf.BertForMaskedLM(hf.BertConfig(**SIZES | {"vocab_size": 640}))
    with torch.no_grad():
        theirs.cls.predictions.bias[600:] += 20
    loaded = save_model(theirs).loaded
    (filling,) = fill(loaded, "el [MASK]", 600)
    assert "" not in filling.tokens
    assert len(generate(loaded, "el", GenerateSettings(max_new_tokens=3)).text.split()) > 1


def test_a_prompt_is_measured_with_the_masks_of_the_vocabulary(masked, tmp_path):
    """As a [MASK] that is text it has several tokens."""
    shutil.copytree(masked.folder, tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = tmp_path / "model" / name
        path.write_text(path.read_text().replace("[MASK]", "<mask>"))
    loaded = Loaded(tmp_path / "model", "cpu")
    text = "[MASK] " * 29 + "el"
    assert generate(loaded, text).tokens == 29
    assert generate(loaded, text).text == generate(masked.loaded, text).text
