from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from pipeline.encode import load_tokenizer
from pipeline.legible import make_legible, text_of


def word_pieces(*words: str) -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.decoder = decoders.WordPiece()
    make_legible(tokenizer)
    return tokenizer


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("he did do not say so .", "he did do not say so."),
        ("it ' s mine , isn ' t it ?", "it's mine, isn't it?"),
        ("the dogs ' tails ( both ) wag ##ged", "the dogs ' tails (both) wagged"),
        ("a half - past - six train - - late", "a half-past-six train - - late"),
    ],
)
def test_word_pieces_are_spaced_as_english_is(words: str, text: str):
    tokenizer = word_pieces(*words.split())
    ids = [tokenizer.token_to_id(word) for word in words.split()]
    assert list(text_of(tokenizer, ids, np.zeros(len(ids), np.bool_))) == [(text, False)]


def test_a_mask_keeps_to_its_words():
    tokenizer = word_pieces("the", "wag", "##ged", "tail", ".")
    ids = [tokenizer.token_to_id(word) for word in ("the", "wag", "##ged", "tail", ".")]
    runs = list(text_of(tokenizer, ids, np.array([0, 1, 1, 0, 0], np.bool_)))
    assert runs == [("the", False), (" wagged", True), (" tail.", False)]


@given(text=st.text("aé .,\N{GRINNING FACE}我", max_size=20), data=st.data())
def test_bytes_of_a_character_that_is_half_masked_stay_together(bpe_folder, text: str, data):
    tokenizer = load_tokenizer(bpe_folder / "tokenizer.json")
    make_legible(tokenizer)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    marks = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
    runs = list(text_of(tokenizer, ids, np.array(marks, np.bool_)))
    assert "".join(run for run, _ in runs) == tokenizer.decode(ids)
    assert all(one[1] != other[1] for one, other in pairwise(runs))
