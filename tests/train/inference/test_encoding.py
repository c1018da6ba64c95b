import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from train.inference import encoding as module
from train.inference.embed import embed
from train.inference.encoding import encode, first_tokens, tokens_of

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
