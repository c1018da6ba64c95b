from dataclasses import replace

import pytest

from model.config import SIZES, ElectraConfig, LanguageModelConfig, ModelConfig


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
        ({"embedding_dropout_prob": 2.0}, "embedding_dropout_prob is 2.0"),
        ({"type_vocab_size": -1}, "type_vocab_size is -1"),
        ({"attention": "sparse"}, "attention is 'sparse'; known are softmax, local, nystrom"),
        ({"attention": "local", "local_attention": 7}, "local_attention is 7; it must be even"),
        ({"attention": "nystrom", "conv_kernel_size": 4}, "conv_kernel_size is 4; .* odd, or 0"),
        ({"attention": "nystrom", "conv_kernel_size": -1}, "conv_kernel_size is -1"),
        (
            {"attention": "nystrom", "attention_probs_dropout_prob": 0.1},
            "attention_probs_dropout_prob is 0.1; with 'nystrom' it must be 0",
        ),
        (
            {"attention": "nystrom", "is_decoder": True},
            "'nystrom' in a decoder; .* every token would see those after it",
        ),
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
        ({"sentence_order": "both of them"}, "sentence_order is 'both of them'"),
        ({"temperature": 0.0}, "temperature is 0.0"),
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


def test_networks_that_share_nothing_may_differ_but_in_their_vocabulary(pair: ElectraConfig):
    other = replace(pair.discriminator, embedding_size=4, max_position_embeddings=9)
    replace(pair, tie_embeddings=False, discriminator=other)
    with pytest.raises(ValueError, match="vocab_size is 40 in the generator and 41"):
        replace(pair, tie_embeddings=False, discriminator=replace(other, vocab_size=41))


def test_a_decoder_is_no_half_of_a_pair(pair: ElectraConfig):
    with pytest.raises(ValueError, match="is_decoder is True in the generator"):
        replace(pair, generator=replace(pair.generator, is_decoder=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_token_id": None}, "mask_token_id is None; only a decoder does without"),
        ({"mask_token_id": 40}, "mask_token_id is 40"),
        ({"span_boundary_weight": -1.0}, "span_boundary_weight is -1.0"),
        ({"mask_replace_prob": 0.95}, "mask_replace_prob 0.95 and random_replace_prob 0.1 are"),
        (
            {"masked_language_model_weight": 0.0, "sentence_order_weight": 0.0},
            "there is nothing to learn",
        ),
    ],
)
def test_a_bad_language_model_is_named_with_its_value(micro: ModelConfig, changes, message):
    with pytest.raises(ValueError, match=message):
        LanguageModelConfig(**({"model": micro, "mask_token_id": 4} | changes))


def test_a_padded_vocabulary_is_the_next_multiple(micro: ModelConfig):
    assert replace(micro, pad_to_multiple_of=16).padded_vocab_size == 48
    assert replace(micro, pad_to_multiple_of=8).padded_vocab_size == 40
