from dataclasses import replace

import pytest

from model.config import SIZES, ElectraConfig, ModelConfig
from model.presets import PRESETS, electra_config

VOCABULARY = {
    "vocab_size": 100,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "mask_token_id": 4,
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_below_one_is_named_with_its_value(micro: ModelConfig, name: str):
    with pytest.raises(ValueError, match=f"{name} is -3"):
        replace(micro, **{name: -3})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 3}, "num_attention_heads is 3, which does not divide .* 16"),
        ({"num_hidden_groups": 3}, "num_hidden_groups is 3, which does not divide .* 4"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob is 1.0"),
        ({"attention_probs_dropout_prob": -0.1}, "attention_probs_dropout_prob is -0.1"),
        ({"hidden_dropout_prob": float("nan")}, "hidden_dropout_prob is nan"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; known are gelu, gelu_new"),
        ({"initializer_range": 0.0}, "initializer_range is 0.0"),
        ({"layer_norm_eps": 0.0}, "layer_norm_eps is 0.0"),
        ({"pad_token_id": 40}, "pad_token_id is 40, outside the vocabulary of 40"),
    ],
)
def test_a_bad_shape_is_named_with_its_value(micro: ModelConfig, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(micro, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_token_id": 40}, "mask_token_id is 40"),
        ({"mask_replace_prob": 1.5}, "mask_replace_prob is 1.5"),
        ({"discriminator_weight": float("nan")}, "discriminator_weight is nan"),
        ({"generator_weight": -1.0}, "generator_weight is -1.0"),
        ({"sentence_order": "generator"}, "sentence_order is 'generator'"),
    ],
)
def test_a_bad_objective_is_named_with_its_value(pair: ElectraConfig, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(pair, **changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [("vocab_size", 41), ("embedding_size", 4), ("max_position_embeddings", 9)],
)
def test_networks_that_cannot_share_embeddings_are_refused(pair: ElectraConfig, name, value):
    with pytest.raises(ValueError, match=f"{name} is .* in the generator and {value}"):
        replace(pair, discriminator=replace(pair.discriminator, **{name: value}))


def test_the_presets_are_those_of_the_design():
    assert tuple(PRESETS) == ("tiny", "home", "home-768")
    home, wide = PRESETS["home"], PRESETS["home-768"]
    assert (home.batch_size, home.learning_rate) == (128, 5e-4)
    assert (home.warmup_fraction * home.steps, home.steps) == (10_000, 1_000_000)
    assert home.generator == wide.generator
    assert (home.discriminator.hidden_size, wide.discriminator.hidden_size) == (256, 768)


@pytest.mark.parametrize("preset", tuple(PRESETS))
def test_a_preset_becomes_a_pair_for_any_vocabulary(preset: str):
    config = electra_config(preset, **VOCABULARY, sentence_order="both")
    for shape in (config.generator, config.discriminator):
        assert (shape.vocab_size, shape.max_position_embeddings) == (100, 128)
        dropout = PRESETS[preset].dropout
        assert shape.hidden_dropout_prob == shape.attention_probs_dropout_prob == dropout
        assert shape.num_hidden_groups == 1
    assert (config.mask_token_id, config.sentence_order) == (4, "both")


def test_an_unknown_preset_is_answered_with_the_known():
    with pytest.raises(ValueError, match="preset is 'huge'; known are tiny, home, home-768"):
        electra_config("huge", **VOCABULARY)
