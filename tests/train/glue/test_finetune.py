"""Training of a classifier: it learns, repeats itself, and says when it diverges."""

import numpy as np
import pytest
import torch

from model.huggingface_read import load_transformer
from pipeline.tasks import TASKS, Examples
from shards.errors import DataError
from tests.train.glue.toy import LONGEST, QUICK, sentence_examples
from train.finetune import finetune, make_classifier, predict, steps_of
from train.glue_config import GlueConfig
from train.glue_rows import encode_examples, load_row_tokenizer


def test_the_same_seed_repeats_the_same_bits_and_another_does_not(run, tokenizer):
    task = TASKS["cola"]
    rows = encode_examples(tokenizer, sentence_examples(), LONGEST)
    config = GlueConfig(epochs=1, batch_size=8)

    def trained(seed):
        model = load_transformer(run / "hf").config
        classifier = make_classifier(model, task, seed, lambda: load_transformer(run / "hf"))
        finetune(classifier, task, rows, config, seed, lambda: None)
        return torch.cat([one.flatten() for one in classifier.parameters()]).detach()

    first = trained(0)
    assert torch.equal(first, trained(0))
    assert not torch.equal(first, trained(1))


def test_a_regression_is_learnt_and_predicted_in_its_own_range(run, tokenizer):
    examples = sentence_examples()
    scores = (1 + 3 * examples.labels).astype(np.float32)
    rows = encode_examples(tokenizer, Examples(examples.first, examples.first, scores, 0), LONGEST)
    task = TASKS["stsb"]
    classifier = make_classifier(load_transformer(run / "hf").config, task, 0, None)
    finetune(classifier, task, rows, QUICK, 0, lambda: None)
    predictions = predict(classifier, task, rows, 8)
    assert np.corrcoef(predictions, scores)[0, 1] > 0.9
    assert abs(predictions.mean() - scores.mean()) < 0.5


def test_predictions_come_in_the_order_of_the_rows(run, tokenizer):
    task = TASKS["cola"]
    rows = encode_examples(tokenizer, sentence_examples(), LONGEST)
    classifier = make_classifier(load_transformer(run / "hf").config, task, 0, None)
    one_by_one = classifier.eval()
    with torch.no_grad():
        expected = [
            int(one_by_one(rows.gather(np.array([row]), 0)).argmax()) for row in range(len(rows))
        ]
    assert predict(classifier, task, rows, 7).tolist() == expected


def test_the_pretrained_weights_are_the_ones_trained_on(run):
    encoder = load_transformer(run / "hf")
    load = lambda: load_transformer(run / "hf")  # noqa: E731
    pretrained = make_classifier(encoder.config, TASKS["cola"], 3, load)
    twin = make_classifier(encoder.config, TASKS["cola"], 3, None)
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, pretrained.encoder.state_dict()[name])
    words = "embeddings.word_embeddings.weight"
    assert not torch.equal(encoder.state_dict()[words], twin.encoder.state_dict()[words])
    assert torch.equal(pretrained.head.dense.weight, twin.head.dense.weight)


def test_the_last_batch_of_an_epoch_may_be_short():
    assert steps_of(10, 3, 4) == 9


def test_a_diverged_training_stops_and_names_the_knob(run, source, tmp_path):
    classifier = make_classifier(load_transformer(run / "hf").config, TASKS["cola"], 0, None)
    with torch.no_grad():
        classifier.head.out_proj.bias.fill_(float("nan"))
    tokenizer = load_row_tokenizer(run / "hf", LONGEST, 17)
    rows = encode_examples(tokenizer, sentence_examples(8), LONGEST)
    with pytest.raises(DataError, match="step 0: the loss is nan: lower --learning-rate"):
        finetune(classifier, TASKS["cola"], rows, QUICK, 0, lambda: None)
    with pytest.raises(DataError, match="not finite"):
        predict(classifier, TASKS["cola"], rows, 8)
