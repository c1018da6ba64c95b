from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.words.pieces import pieces_of
from shards.errors import DataError
from train.inference import encoding as module
from train.inference.embed import embed
from train.inference.encoding import encode, first_tokens, ids_of, tokens_of

WORDS = st.sampled_from(
    ["el", "Conder", "\N{SNOWMAN}", "x" * 120, "na\u00efve", " ", "\n", "\u0301", "-,"]
)


@given(st.lists(WORDS, max_size=60), st.sampled_from([" ", "", "  "]))
@settings(max_examples=60)
def test_the_first_tokens_are_those_of_the_whole_text(causal, masked, words, between):
    text = "el " + between.join(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHARACTERS", 1)
        for saved in (causal, masked):
            whole = tokens_of(saved.loaded.tokenizer, text, is_framed=saved is masked).ids
            found = first_tokens(saved.loaded, saved.loaded.main, text).ids
            frame = 1 if saved is masked else 0
            assert found[: 32 - frame] == whole[: 32 - frame]
            assert (len(found) > 32) == (len(whole) > 32)
            assert found == whole or len(found) > 32


def test_of_a_long_text_the_beginning_alone_is_read(masked, monkeypatch):
    assert masked.loaded.cuts_at_spaces
    text = "el " * 100_000
    assert len(first_tokens(masked.loaded, masked.loaded.main, text).ids) < 32 * module.CHARACTERS
    with pytest.raises(DataError, match=r"has 17\d tokens or more, the model takes 32: shorten it"):
        encode(masked.loaded, masked.loaded.main, text)
    made = embed(masked.loaded, [text, "el " * 30], cuts=True)
    assert made.is_cut.tolist() == [True, False]
    assert made.vectors[0].tolist() == pytest.approx(made.vectors[1].tolist(), abs=1e-5)


def test_white_space_beyond_measure_is_no_reason_to_refuse(masked):
    assert len(encode(masked.loaded, masked.loaded.main, "el" + " " * 9000 + "fi").ids) == 4


@given(st.lists(WORDS | st.text(max_size=6), max_size=60), st.sampled_from([" ", "", "  "]))
@settings(max_examples=60)
def test_the_ids_of_pieces_are_those_of_the_whole_text(masked, words, between):
    text, tokenizer = "el " + between.join(words), masked.loaded.tokenizer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", 3)
        assert ids_of(tokenizer, text).tolist() == tokens_of(tokenizer, text, is_framed=False).ids


def test_a_long_text_is_encoded_in_pieces(masked, monkeypatch):
    sizes = []

    def noted(*given):
        for piece in pieces_of(*given):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(module, "pieces_of", noted)
    assert len(ids_of(masked.loaded.tokenizer, "el fi " * 100_000)) == 200_000
    assert len(sizes) == 6
    assert max(sizes) <= module.PIECE + 6


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the text is empty"),
        (" \n" * 9, "the text is empty"),
        ("\x00" * 9, r"the text '.*' has no token: give one or more words"),
        ("el fi el \ud800", r"character 10 is half of one \('.ud800'\): write the text in UTF-8"),
    ],
)
@pytest.mark.parametrize("size", [2, 1000])
def test_a_text_without_ids_is_refused_as_one_without_tokens(
    masked, monkeypatch, size, text, problem
):
    monkeypatch.setattr(module, "PIECE", size)
    for read in (ids_of, partial(tokens_of, is_framed=False)):
        with pytest.raises(DataError, match=problem):
            read(masked.loaded.tokenizer, text)
