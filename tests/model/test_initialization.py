"""Weights before training, as the papers state them."""

import math
from dataclasses import replace

import pytest

from model.config import LanguageModelConfig, ModelConfig
from model.language_model import LanguageModel
from tests.model.conftest import MASK

WIDE = {"vocab_size": 20_000, "hidden_size": 64, "embedding_size": 48, "intermediate_size": 256}


def language_model(micro: ModelConfig, **changes) -> LanguageModel:
    shape = replace(micro, initializer_range=0.1, **WIDE | changes)
    return LanguageModel(LanguageModelConfig(model=shape, mask_token_id=MASK))


def test_after_norms_weights_are_a_truncated_normal(micro: ModelConfig):
    """A normal cut off at two standard deviations keeps 0.8796 of its standard deviation."""
    model = language_model(micro)
    words = model.network.backbone.word_embeddings
    assert words.abs().max() <= 0.2
    assert words.std().item() == pytest.approx(0.08796, rel=0.01)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert parameter.eq(1.0 if name.endswith("weight") else 0.0).all(), name
        elif name.endswith("bias"):
            assert parameter.eq(0.0).all(), name
        else:
            assert 0.07 < parameter.std() < 0.11, name
            assert parameter.abs().max() <= 0.2, name


def test_before_norms_weights_are_normal_and_what_is_added_is_smaller(micro: ModelConfig):
    """By the root of the eight blocks of four layers (GPT-2, section 2.3)."""
    model = language_model(micro, norm_first=True, is_decoder=True)
    assert model.network.backbone.word_embeddings.abs().max() > 0.4
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            continue
        is_added = name.endswith(("attention.dense.weight", "contract.weight"))
        expected = 0.1 / 8**0.5 if is_added else 0.1
        error = 4 / (2 * parameter.numel()) ** 0.5  # of the standard deviation of so many draws
        assert parameter.std().item() == pytest.approx(expected, rel=error), name


def test_positions_may_begin_as_sinusoids(micro: ModelConfig):
    """A sine and a cosine of each wavelength in turn, as high as `initializer_range`."""
    shape = {"position_initializer": "sinusoids", "max_position_embeddings": 20}
    table = language_model(micro, **shape).network.backbone.embeddings.position_embeddings.weight
    assert table.shape == (20, 48)
    assert table[0, :4].tolist() == pytest.approx([0.0, 0.1, 0.0, 0.1])
    assert table[7, 0].item() == pytest.approx(0.1 * math.sin(7))
    assert table[7, 25].item() == pytest.approx(0.1 * math.cos(7 / 10), rel=1e-5)
    alike = table @ table[10]
    assert alike.argsort(descending=True)[:3].sort().values.tolist() == [9, 10, 11]
    assert table.requires_grad


def test_an_odd_width_takes_sinusoids_too(micro: ModelConfig):
    shape = {"position_initializer": "sinusoids", "embedding_size": 47}
    table = language_model(micro, **shape).network.backbone.embeddings.position_embeddings.weight
    assert table.shape[1] == 47
    assert table[0, -1] == 0
