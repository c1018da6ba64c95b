"""Sliding windows beside softmax attention over all tokens, masked."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from model.config import ModelConfig
from model.local import local_attention
from model.transformer import Transformer


def heads(length: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(3, 2, length, 4, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(3)
    ]


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("reach", [1, 2, 3, 7])
@pytest.mark.parametrize("length", [3, 8, 11])
def test_a_window_is_softmax_attention_masked(length, reach, is_causal):
    lengths = torch.tensor([length, 2, length - 1])
    is_real = torch.arange(length) < lengths[:, None]
    place = torch.arange(length)
    distance = place[:, None] - place
    seen = (distance.abs() <= reach) & ((distance >= 0) | (not is_causal))
    mask = (seen & is_real[:, None, :] | torch.eye(length, dtype=torch.bool))[:, None]
    mine, other = heads(length, 1), heads(length, 1)
    ours = local_attention(*mine, is_real, reach, is_causal, 0.0).transpose(1, 2)[is_real]
    theirs = F.scaled_dot_product_attention(*other, attn_mask=mask).transpose(1, 2)[is_real]
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    ours.sin().sum().backward()
    theirs.sin().sum().backward()
    for one, another in zip(mine, other, strict=True):
        torch.testing.assert_close(one.grad, another.grad, rtol=1e-12, atol=1e-12)


def test_every_third_layer_sees_the_whole_row(micro: ModelConfig, monkeypatch, rows):
    """With a token changed out of reach of all local layers, only a global one can tell."""
    config = replace(micro, attention="local", local_attention=2, num_hidden_layers=3)
    changed = rows["input_ids"].clone()
    changed[0, 11] = 9
    reaches = {}
    for every in (1, 3):
        model = Transformer(replace(config, global_attn_every_n_layers=every)).eval()
        for layer in model.layers:
            mechanism = layer.attention.mechanism
            monkeypatch.setattr(mechanism, "forward", _spy(mechanism.forward, found := []))
        model(**rows)
        reaches[every] = found
    assert reaches == {1: [True, True, True], 3: [True, False, False]}


def _spy(forward, found):
    def call(*arguments):
        found.append(arguments[-1])
        return forward(*arguments)

    return call


def test_a_wide_window_is_softmax_attention(micro: ModelConfig, rows):
    local = replace(micro, attention="local", local_attention=24)
    model, plain = Transformer(local).eval(), Transformer(micro).eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(**rows), plain(**rows))
