from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score
from tokenizers import Tokenizer

from model.electra import make_electra
from shards.errors import DataError
from shards.reader import ShardFolder
from tests.train.small_decoder import make_small_decoder
from train.config import pretrain_config
from train.evaluate import area_under_curve, evaluate
from train.guessing import guess_by_frequency
from train.initial import make_model
from train.precision import Precision
from train.runs import model_config

CPU, EXACT = torch.device("cpu"), Precision("float32", "")


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2))
def test_the_area_under_the_curve_is_that_of_scikit_learn(pairs):
    scores = np.array([score for score, _ in pairs], float)
    labels = np.array([label for _, label in pairs])
    expected = 0.5 if len(set(labels)) == 1 else roc_auc_score(labels, scores)
    assert area_under_curve(scores, labels) == pytest.approx(expected)


def test_an_evaluation_repeats_and_leaves_the_model_in_training(shards_folder):
    folder = ShardFolder(shards_folder, "validation")
    torch.manual_seed(0)
    model = make_electra(model_config(pretrain_config("tiny"), folder.header))
    state = torch.get_rng_state()
    one = evaluate(model, folder, 16, CPU, EXACT)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    assert one == evaluate(model, folder, 16, CPU, EXACT)


@pytest.mark.slow
def test_out_of_memory_an_evaluation_goes_on_with_half_as_many_rows(shards_folder):
    folder = ShardFolder(shards_folder, "validation")
    torch.manual_seed(0)
    model = make_electra(model_config(pretrain_config("tiny"), folder.header))
    expected, forward, lines, most = evaluate(model, folder, 4, CPU, EXACT), model.forward, [], 4

    def small(input_ids, **batch):
        if len(input_ids) > most:
            raise torch.OutOfMemoryError("no memory")
        return forward(input_ids, **batch)

    model.forward = small
    assert evaluate(model, folder, 16, CPU, EXACT, lines.append) == expected
    assert [line.split(" rows")[0][-2:].strip() for line in lines] == ["16", "8"]
    most = 0
    with pytest.raises(DataError, match="no memory for the evaluation of one row"):
        evaluate(model, folder, 16, CPU, EXACT)
    assert model.training


def test_an_untrained_model_is_as_good_as_knowing_nothing(shards_folder):
    folder = ShardFolder(shards_folder, "validation")
    torch.manual_seed(0)
    model = make_electra(model_config(pretrain_config("tiny"), folder.header))
    scores = evaluate(model, folder, 16, CPU, EXACT)
    assert scores["masked_language_model_loss"] == pytest.approx(np.log(600), abs=0.3)
    assert scores["hidden_token_loss"] == pytest.approx(np.log(600), abs=0.3)
    share = scores["replaced_share"]
    assert scores["replaced_token_entropy"] == pytest.approx(
        log_loss([0, 1], [share, share], sample_weight=[1 - share, share])
    )
    assert scores["replaced_token_auc"] == pytest.approx(0.5, abs=0.1)


def test_the_unigram_baseline_is_the_loss_of_the_training_frequencies(shards_folder):
    train = ShardFolder(shards_folder, "train")
    validation = ShardFolder(shards_folder, "validation")
    rows = train.gather(np.arange(len(train)))
    counts = np.ones(600)
    for ids, length in zip(rows.input_ids, rows.length, strict=True):
        for token in ids[1 : length - 1]:
            counts[token] += token not in (0, 2, 3)
    held_out = validation.gather(np.arange(len(validation)))
    predicted = [
        ids[position]
        for ids, masks in zip(held_out.input_ids, held_out.masks, strict=True)
        for position in range(64)
        if masks[position // 8] >> (position % 8) & 1
    ]
    losses = -np.log(counts[predicted] / counts.sum())
    found = guess_by_frequency(train, validation)
    assert found.loss == pytest.approx(losses.mean())
    assert found.accuracy == np.mean(np.array(predicted) == counts.argmax())


def test_tokens_that_show_are_no_merit_of_the_hidden_token_loss(shards_folder):
    folder = ShardFolder(shards_folder, "validation")
    torch.manual_seed(0)
    pair = model_config(pretrain_config("tiny"), folder.header)
    shown, hidden = (make_electra(replace(pair, mask_replace_prob=share)) for share in (0.0, 1.0))
    hidden.load_state_dict(shown.state_dict())
    one, other = (evaluate(model, folder, 16, CPU, EXACT) for model in (shown, hidden))
    assert one["hidden_token_loss"] == other["hidden_token_loss"]
    assert other["hidden_token_loss"] == pytest.approx(other["masked_language_model_loss"])
    assert one["masked_language_model_loss"] != other["masked_language_model_loss"]


def test_a_language_model_has_its_losses_perplexity_and_no_verdicts(shards_folder):
    folder = ShardFolder(shards_folder, "validation")
    torch.manual_seed(0)
    model = make_model(model_config(pretrain_config("bert-tiny"), folder.header))
    scores = evaluate(model, folder, None, CPU, EXACT)
    assert set(scores) == {
        *("masked_language_model_loss", "masked_language_model_accuracy", "hidden_token_loss"),
        *("masked_language_model_perplexity", "sentence_order_loss", "sentence_order_accuracy"),
        *("sentence_order_rows", "sentence_order_sigma"),
    }
    loss = scores["masked_language_model_loss"]
    assert scores["masked_language_model_perplexity"] == pytest.approx(np.exp(loss))
    assert loss == pytest.approx(np.log(600), abs=0.3)


def test_the_perplexity_of_words_is_that_of_all_tokens_by_the_words_of_the_text(stream_folder):
    folder = ShardFolder(stream_folder, "validation")
    model = make_small_decoder(folder.header)
    scores = evaluate(model, folder, None, CPU, EXACT)
    rows = folder.gather(np.arange(len(folder)))
    tokenizer = Tokenizer.from_file(str(stream_folder / "tokenizer" / "tokenizer.json"))
    kept = [
        list(map(int, ids[1:length]))
        for ids, length in zip(rows.input_ids, rows.length, strict=True)
    ]
    words = sum(len(tokenizer.decode(ids).split()) for ids in kept)
    loss = scores["causal_language_model_loss"] * sum(map(len, kept))
    assert scores["word_perplexity"] == pytest.approx(np.exp(loss / words))
    assert scores["word_perplexity"] > scores["causal_language_model_perplexity"] > 1
    assert 0 < guess_by_frequency(ShardFolder(stream_folder, "train"), folder).loss < np.log(600)
