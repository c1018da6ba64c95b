"""Layer-wise rates, against ELECTRA's rule worked out by hand."""

from dataclasses import replace

import pytest
import torch

from model.config import ModelConfig
from model.heads import ClassificationHead
from model.transformer import Transformer
from train.glue.layer_rates import layer_factors, make_optimizer, parameter_groups, set_rate

FOUR = ModelConfig(
    vocab_size=20,
    embedding_size=4,
    hidden_size=8,
    num_hidden_layers=4,
    num_hidden_groups=4,
    num_attention_heads=2,
    intermediate_size=8,
    max_position_embeddings=8,
)
TWELVE = replace(FOUR, num_hidden_layers=12, num_hidden_groups=12)


def rates(config, decay=0.8):
    """Return the rate of every weight by name."""
    encoder, head = Transformer(config), ClassificationHead(config, 2)
    groups = parameter_groups(encoder, head, layer_decay=decay, weight_decay=0.01)
    scales = {id(one): group["rate_scale"] for group in groups for one in group["params"]}
    decays = {id(one): group["weight_decay"] for group in groups for one in group["params"]}
    names = [*encoder.named_parameters("encoder"), *head.named_parameters("head")]
    assert len(scales) == len(names) == sum(len(group["params"]) for group in groups)
    for name, one in names:
        assert decays[id(one)] == (0.01 if one.ndim > 1 else 0.0), name
    return {name: scales[id(one)] for name, one in names}


def test_a_base_model_has_electras_rates():
    # n_layers 12, layer_decay .8: .8 ** 14 for both embeddings, .8 ** 13 for layer_0, ...,
    # .8 ** 2 for layer_11, 1 for task_specific.
    by_hand = [0.0549755813888, 0.068719476736, 0.08589934592, 0.1073741824, 0.134217728]
    by_hand += [0.16777216, 0.2097152, 0.262144, 0.32768, 0.4096, 0.512, 0.64]
    assert layer_factors(TWELVE, 0.8) == pytest.approx(by_hand)
    found = rates(TWELVE)
    for name, rate in found.items():
        if name.startswith(("encoder.embeddings.", "encoder.projection.")):
            assert rate == pytest.approx(0.04398046511104), name
        elif name.startswith("head."):
            assert rate == 1, name
        else:
            assert rate == pytest.approx(by_hand[int(name.split(".")[2])]), name


def test_a_shared_layer_has_the_mean_of_those_it_serves():
    # Depths 1 to 4 of 6: .8 ** 5 = .32768, .4096, .512, .64.
    assert layer_factors(replace(FOUR, num_hidden_groups=1), 0.8) == pytest.approx([0.47232])
    halves = layer_factors(replace(FOUR, num_hidden_groups=2), 0.8)
    assert halves == pytest.approx([0.36864, 0.576])


def test_without_decay_there_are_two_groups_of_one_rate():
    assert set(rates(FOUR, decay=1.0).values()) == {1.0}
    encoder, head = Transformer(FOUR), ClassificationHead(FOUR, 2)
    optimizer = make_optimizer(encoder, head, layer_decay=1.0, weight_decay=0.01)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]


def test_a_step_moves_each_weight_by_its_own_rate():
    torch.manual_seed(0)
    encoder, head = Transformer(FOUR), ClassificationHead(FOUR, 2)
    optimizer = make_optimizer(encoder, head, layer_decay=0.5, weight_decay=0.0)
    weights = [*encoder.parameters(), *head.parameters()]
    before = [one.detach().clone() for one in weights]
    for one in weights:
        one.grad = torch.ones_like(one)
    set_rate(optimizer, 1e-2)
    optimizer.step()
    moved = {id(one): (old - one).mean().item() for one, old in zip(weights, before, strict=True)}
    expected = [
        (encoder.embeddings.word_embeddings.weight, 0.5**6),
        (encoder.layers[0].attention.dense.weight, 0.5**5),
        (encoder.layers[3].attention.dense.bias, 0.5**2),
        (head.dense.weight, 1.0),
    ]
    for weight, share in expected:  # Adam's first step is the rate, whatever the gradient
        assert moved[id(weight)] == pytest.approx(1e-2 * share, rel=1e-3)
