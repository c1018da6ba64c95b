import math
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from torch.nn import functional as F

from shards.errors import DataError
from train.inference.loaded import Loaded
from train.inference.perplexity import measure_perplexity, windows

TEXT = "Conder el fi in no, mer gra hu lo. Per sta ba con der el fi gra hu in lo mer no. " * 3


def loop_of_the_guide(saved, text, stride):
    """https://huggingface.co/docs/transformers/perplexity, each window weighed by its losses."""
    ids = saved.ids(text, framed=False)
    total, tokens, last_end = 0.0, 0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + 32, ids.shape[1])
        row = ids[:, begin:end]
        labels = row.clone()
        labels[:, : -(end - last_end)] = -100
        with torch.no_grad():
            loss = saved.theirs(row, labels=labels).loss
        count = int((labels[:, 1:] != -100).sum())
        total, tokens, last_end = total + float(loss) * count, tokens + count, end
        if end == ids.shape[1]:
            break
    return total / tokens, tokens


@pytest.mark.parametrize("stride", [31, 16, 7, 1])
def test_a_perplexity_is_that_of_the_sliding_window_of_transformers(causal, stride):
    loss, tokens = loop_of_the_guide(causal, TEXT, stride)
    made = measure_perplexity(causal.loaded, TEXT, stride)
    assert (made.kind, made.tokens, made.max_length) == ("perplexity", tokens, 32)
    assert made.loss == pytest.approx(loss, rel=1e-5)
    assert made.perplexity == pytest.approx(math.exp(loss), rel=1e-4)


def test_a_short_text_has_the_loss_that_transformers_returns(causal):
    row = causal.ids("Conder el fi in.", framed=False)
    made = measure_perplexity(causal.loaded, "Conder el fi in.")
    with torch.no_grad():
        assert made.loss == pytest.approx(float(causal.theirs(row, labels=row).loss), rel=1e-5)


def test_the_perplexity_of_a_word_is_that_of_all_tokens_by_the_words(causal, masked):
    for saved in (causal, masked):
        made = measure_perplexity(saved.loaded, TEXT)
        assert made.words == len(TEXT.split())
        assert made.word_perplexity == pytest.approx(math.exp(made.loss * made.tokens / made.words))


@pytest.fixture
def by_bytes(causal, tmp_path) -> Loaded:
    """The same model with a tokenizer whose tokens are bytes, white space too."""
    shutil.copytree(causal.folder, tmp_path / "model")
    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(letters, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteDecoder()
    tokenizer.save(str(tmp_path / "model" / "tokenizer.json"))
    return Loaded(tmp_path / "model", "cpu")


def test_a_text_has_the_same_words_for_every_tokenizer(causal, by_bytes):
    text = "Don't, say: \N{SNOWMAN}-like [MASK] o'clock;  1,000.5 (e.g.) na\u00efve\n\nend."
    found = [measure_perplexity(loaded, text) for loaded in (causal.loaded, by_bytes)]
    assert [one.words for one in found] == [len(text.split())] * 2 == [9, 9]
    assert found[0].tokens != found[1].tokens


def test_a_text_without_a_word_has_no_perplexity_of_words(by_bytes):
    made = measure_perplexity(by_bytes, " \n \n ")
    assert (made.words, made.word_perplexity, made.tokens) == (0, None, 4)


@pytest.mark.parametrize("stride", [None, 30, 9])
def test_a_pseudo_perplexity_hides_each_token_in_turn(masked, stride):
    text = TEXT[:150]
    ids = masked.ids(text, framed=False)[0].tolist()
    room, losses = 30, []
    first = 0
    for begin in range(0, len(ids), stride or 15):
        end = min(begin + room, len(ids))
        for place in range(first, end):
            row = torch.tensor([[2, *ids[begin:end], 3]])
            row[0, place - begin + 1] = 4
            with torch.no_grad():
                logits = masked.theirs(row).logits[0, place - begin + 1]
            losses.append(float(F.cross_entropy(logits, torch.tensor(ids[place]))))
        first = end
        if end == len(ids):
            break
    made = measure_perplexity(masked.loaded, text, stride)
    assert (made.kind, made.tokens) == ("pseudo-perplexity", len(ids))
    assert made.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_progress_counts_every_predicted_token(causal, masked):
    for saved in (causal, masked):
        total, ticks = [], []
        made = measure_perplexity(saved.loaded, TEXT, 16, total.append, ticks.append)
        assert total == [made.tokens] == [sum(ticks)]


@pytest.mark.parametrize(
    ("text", "stride", "problem"),
    [
        ("", None, "the text is empty"),
        ("el", None, "one token, and nothing to predict it from"),
        (TEXT, 32, "--stride 32 is not from 1 to 31, in windows of 32 tokens"),
    ],
)
def test_what_has_no_perplexity_is_refused(causal, text, stride, problem):
    with pytest.raises(DataError, match=problem):
        measure_perplexity(causal.loaded, text, stride)


def test_a_discriminator_has_no_perplexity(judge):
    with pytest.raises(DataError, match="does not fill in masked tokens"):
        measure_perplexity(judge.loaded, TEXT)


@given(st.integers(1, 90), st.integers(1, 20), st.data())
def test_windows_predict_every_token_once_from_what_fits(length, max_length, data):
    stride = data.draw(st.integers(1, max_length))
    found = list(windows(length, max_length, stride))
    predicted = [place for one in found for place in range(one.first, one.end)]
    assert predicted == list(range(length))
    for one in found:
        assert one.begin <= one.first
        assert 0 < one.end - one.begin <= max_length
        assert one.begin == 0 or one.first - one.begin == max_length - stride


@given(st.text(max_size=30))
@settings(max_examples=30)
def test_any_text_has_a_perplexity(causal, masked, text):
    for saved in (causal, masked):
        made = measure_perplexity(saved.loaded, "el fi " + text)
        assert made.perplexity >= 1
        assert made.tokens >= 1
        assert made.words == len(("el fi " + text).split())
