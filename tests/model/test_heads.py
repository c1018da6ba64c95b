from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AlbertForMaskedLM,
    AlbertForPreTraining,
    ElectraConfig,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
)

from model.config import ModelConfig
from model.heads import (
    ClassificationHead,
    MaskedLanguageModelHead,
    ReplacedTokenHead,
    SentenceOrderHead,
    vocabulary_logits,
)
from model.huggingface_tensors import albert_tensors, head_tensors
from model.transformer import Transformer


def close(ours, theirs) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new"])
def test_masked_language_model_logits_equal_those_of_albert(
    micro: ModelConfig, batch, rows, albert_config, copy_weights, scramble, hidden_act
):
    config = replace(micro, hidden_act=hidden_act)
    albert = AlbertForMaskedLM(albert_config(config)).eval()
    scramble(albert)
    model, head = Transformer(config).eval(), MaskedLanguageModelHead(config)
    copy_weights(albert.albert, albert_tensors(model, ""))
    copy_weights(albert, head_tensors(head, "predictions."))
    chosen = batch["masked_positions"]
    with torch.no_grad():
        features = head(model(**rows)[chosen])
        ours = vocabulary_logits(features, model.word_embeddings, head.bias, config.vocab_size)
        theirs = albert(**rows).logits[chosen]
    assert ours.shape == (int(chosen.sum()), config.vocab_size)
    close(ours, theirs)


def test_sentence_order_logits_and_polarity_equal_those_of_albert(
    micro: ModelConfig, rows, albert_config, copy_weights, scramble
):
    albert = AlbertForPreTraining(albert_config(micro)).eval()
    scramble(albert)
    model, head = Transformer(micro).eval(), SentenceOrderHead(micro)
    copy_weights(albert.albert, albert_tensors(model, ""))
    head.pooler.load_state_dict(albert.albert.pooler.state_dict())
    head.classifier.load_state_dict(albert.sop_classifier.classifier.state_dict())
    label = torch.tensor([0, 1, 1, 0, 0])
    with torch.no_grad():
        logits = head(model(**rows)[:, 0])
        theirs = albert(**rows, labels=rows["input_ids"], sentence_order_label=label)
    close(logits, theirs.sop_logits)
    masked = F.cross_entropy(theirs.prediction_logits.flatten(0, 1), rows["input_ids"].flatten())
    close(F.cross_entropy(logits, label), theirs.loss - masked)


@pytest.fixture
def electra_shape(micro: ModelConfig) -> ElectraConfig:
    return ElectraConfig(
        vocab_size=micro.vocab_size,
        embedding_size=micro.embedding_size,
        hidden_size=micro.hidden_size,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        num_labels=3,
    )


def test_replaced_token_logits_equal_those_of_electra(micro: ModelConfig, electra_shape, scramble):
    theirs = ElectraForPreTraining(electra_shape).eval().discriminator_predictions
    scramble(theirs)
    ours = ReplacedTokenHead(micro)
    ours.load_state_dict(theirs.state_dict())
    hidden_states = torch.randn(3, 5, micro.hidden_size)
    close(ours(hidden_states), theirs(hidden_states))


def test_a_classifier_drops_before_each_of_its_layers(micro: ModelConfig):
    torch.manual_seed(0)
    head = ClassificationHead(replace(micro, hidden_dropout_prob=0.5), num_labels=3).train()
    seen = {}
    for name in ("dense", "out_proj"):
        head.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, name=name: seen.update({name: inputs[0]})
        )
    head(torch.ones(500, micro.hidden_size))
    for name, states in seen.items():
        share = (states == 0).float().mean().item()
        assert share == pytest.approx(0.5, abs=4 * (0.25 / states.numel()) ** 0.5), name


def test_classification_logits_equal_those_of_electra(micro: ModelConfig, electra_shape, scramble):
    theirs = ElectraForSequenceClassification(electra_shape).eval().classifier
    scramble(theirs)
    ours = ClassificationHead(micro, num_labels=3).eval()
    ours.load_state_dict(theirs.state_dict())
    hidden_states = torch.randn(3, 5, micro.hidden_size)
    assert ours(hidden_states[:, 0]).shape == (3, 3)
    close(ours(hidden_states[:, 0]), theirs(hidden_states))
