"""Saved classifiers give the same in `transformers`, for every family and kind of task."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from model.huggingface_classifiers import make_head, save_classifier
from model.huggingface_families import FAMILIES
from model.huggingface_read import read_parts
from model.transformer import Transformer
from tests.model.conftest import MICRO

UNSHARED = replace(MICRO, num_hidden_groups=4)
SHAPES = {
    "albert": replace(MICRO, hidden_act="gelu_new"),
    "albert with two groups": replace(MICRO, num_hidden_groups=2),
    "bert": replace(UNSHARED, embedding_size=16),
    "electra": UNSHARED,
    "electra by tanh": replace(UNSHARED, hidden_act="gelu_new"),
    "nystromformer": replace(
        UNSHARED, embedding_size=16, attention="nystrom", num_landmarks=12, conv_kernel_size=0
    ),
}
PROBLEMS = {
    "single_label_classification": ("no", "yes", "perhaps"),
    "multi_label_classification": ("warm", "dry"),
    "regression": (),
    "tagging": ("O", "PER", "LOC"),
}


@pytest.fixture(params=SHAPES)
def network(request, scramble):
    """Return a family, and an encoder that it can hold."""
    torch.manual_seed(0)
    encoder = Transformer(SHAPES[request.param]).eval()
    scramble(encoder)
    return FAMILIES[request.param.partition(" ")[0]], encoder


def load(folder, problem):
    auto = AutoModelForTokenClassification if problem == "tagging" else None
    auto = auto or AutoModelForSequenceClassification
    model, info = auto.from_pretrained(folder, output_loading_info=True)
    for name in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not info[name], name
    return model.eval()


@pytest.mark.parametrize("problem", PROBLEMS)
@torch.no_grad()
def test_transformers_gives_the_same_logits(network, problem, rows, scramble, tmp_path):
    family, encoder = network
    labels = PROBLEMS[problem]
    head = make_head(family, encoder.config, len(labels) or 1, problem).eval()
    scramble(head)
    name = save_classifier(tmp_path, family, encoder, head, problem=problem, labels=labels)
    theirs = load(tmp_path, problem)
    assert type(theirs).__name__ == name
    states = encoder(**rows)
    real = rows["attention_mask"].bool()
    logits = theirs(**rows).logits
    if problem == "tagging":
        torch.testing.assert_close(head(states[real]), logits[real], rtol=1e-5, atol=1e-5)
    else:
        torch.testing.assert_close(head(states[:, 0]), logits, rtol=1e-5, atol=1e-5)
        assert theirs.config.problem_type == problem
    assert theirs.config.num_labels == (len(labels) or 1)
    if labels:
        assert theirs.config.id2label == dict(enumerate(labels))


@torch.no_grad()
def test_a_regression_gives_scores_in_their_own_range(network, rows, scramble, tmp_path):
    family, encoder = network
    head = make_head(family, encoder.config, 1, "regression").eval()
    scramble(head)
    save_classifier(
        tmp_path, family, encoder, head, problem="regression", labels=(), score_scale=(-1.0, 5.0)
    )
    expected = -1 + 5 * head(encoder(**rows)[:, 0])
    logits = load(tmp_path, "regression")(**rows).logits
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_the_heads_dropout_is_written(network, tmp_path):
    family, encoder = network
    config = replace(encoder.config, hidden_dropout_prob=0.3)
    dropping = Transformer(config)
    head = make_head(family, config, 2, "single_label_classification")
    save_classifier(
        tmp_path, family, dropping, head, problem="single_label_classification", labels=("a", "b")
    )
    theirs = load(tmp_path, "single_label_classification")
    dropouts = [one.p for one in theirs.classifier.modules() if isinstance(one, torch.nn.Dropout)]
    assert {*dropouts, getattr(theirs, "dropout", torch.nn.Dropout(0.3)).p} == {0.3}


def test_the_encoder_can_be_read_back(network, tmp_path):
    family, encoder = network
    head = make_head(family, encoder.config, 2, "single_label_classification")
    save_classifier(
        tmp_path, family, encoder, head, problem="single_label_classification", labels=("a", "b")
    )
    found = read_parts(tmp_path)
    for name, weight in encoder.state_dict().items():
        assert torch.equal(found.parts.transformer.state_dict()[name], weight)
    assert found.family is family
    if family.model_type in ("albert", "bert"):
        assert torch.equal(found.parts.pooler.weight, head.pooler.weight)
    assert "problem_type" in json.loads((tmp_path / "config.json").read_text())
