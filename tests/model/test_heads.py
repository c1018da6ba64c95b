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
from model.encoder import Encoder
from model.heads import (
    ClassificationHead,
    MaskedLanguageModelHead,
    ReplacedTokenHead,
    SentenceOrderHead,
)


def close(ours, theirs) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new"])
def test_masked_language_model_logits_equal_those_of_albert(
    micro: ModelConfig, batch, rows, albert_config, copy_encoder, scramble, hidden_act
):
    config = replace(micro, hidden_act=hidden_act)
    albert = AlbertForMaskedLM(albert_config(config)).eval()
    scramble(albert)
    encoder, head = Encoder(config).eval(), MaskedLanguageModelHead(config)
    copy_encoder(albert.albert, encoder)
    theirs_by_name = albert.predictions.state_dict()
    head.load_state_dict({name: theirs_by_name[name] for name in head.state_dict()})
    chosen = batch["masked_positions"]
    with torch.no_grad():
        words = encoder.embeddings.word_embeddings.weight
        ours, theirs = head(encoder(**rows)[chosen], words), albert(**rows).logits[chosen]
    assert ours.shape == (int(chosen.sum()), config.vocab_size)
    close(ours, theirs)


def test_sentence_order_logits_and_polarity_equal_those_of_albert(
    micro: ModelConfig, rows, albert_config, copy_encoder, scramble
):
    albert = AlbertForPreTraining(albert_config(micro)).eval()
    scramble(albert)
    encoder, head = Encoder(micro).eval(), SentenceOrderHead(micro)
    copy_encoder(albert.albert, encoder)
    head.pooler.load_state_dict(albert.albert.pooler.state_dict())
    head.classifier.load_state_dict(albert.sop_classifier.classifier.state_dict())
    label = torch.tensor([0, 1, 1, 0, 0])
    with torch.no_grad():
        logits = head(encoder(**rows))
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


def test_classification_logits_equal_those_of_electra(micro: ModelConfig, electra_shape, scramble):
    theirs = ElectraForSequenceClassification(electra_shape).eval().classifier
    scramble(theirs)
    ours = ClassificationHead(micro, num_labels=3).eval()
    ours.load_state_dict(theirs.state_dict())
    hidden_states = torch.randn(3, 5, micro.hidden_size)
    assert ours(hidden_states).shape == (3, 3)
    close(ours(hidden_states), theirs(hidden_states))
