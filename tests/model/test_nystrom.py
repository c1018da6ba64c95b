"""Nystrom attention beside softmax attention and transformers' Nystromformer."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from transformers import NystromformerConfig, NystromformerModel

from model.config import ModelConfig
from model.huggingface_tensors import bert_tensors
from model.nystrom import (
    landmark_inverse,
    nystrom_attention,
    pseudo_inverse,
    segment_means,
)
from model.transformer import Transformer

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def heads(length: int, scale: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [
        torch.randn(3, 2, length, 4, generator=generator, dtype=torch.float64) * scale
        for _ in range(3)
    ]


def test_with_a_landmark_for_each_token_it_approaches_softmax_attention(monkeypatch):
    """The formula itself, on rows that the mechanism would give softmax attention."""
    monkeypatch.setattr("model.nystrom.ITERATIONS", 40)
    query, key, value = heads(6)
    approximate = nystrom_attention(query, key, value, torch.ones(3, 6, dtype=torch.bool), 6)
    exact = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(approximate, exact, rtol=1e-6, atol=1e-6)


def test_a_row_as_long_as_the_landmarks_gets_softmax_attention(micro: ModelConfig, rows):
    nystrom = replace(micro, attention="nystrom", num_landmarks=12, conv_kernel_size=0)
    model, plain = Transformer(nystrom).eval(), Transformer(micro).eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(**rows), plain(**rows))


def test_landmarks_are_means_of_a_rows_own_tokens():
    is_real = torch.arange(7) < torch.tensor([7, 4])[:, None]
    found = segment_means(is_real, 3, torch.float32)
    third = 1 / 3
    assert torch.allclose(
        found,
        torch.tensor(
            [
                [[third] * 3 + [0] * 4, [0] * 3 + [0.5] * 2 + [0] * 2, [0] * 5 + [0.5] * 2],
                [[0.5] * 2 + [0] * 5, [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]],
            ]
        ),
    )


def test_the_pseudo_inverse_is_torchs(monkeypatch):
    monkeypatch.setattr("model.nystrom.ITERATIONS", 40)
    matrix = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)).double() * 2
    found = pseudo_inverse(matrix.softmax(-1))
    torch.testing.assert_close(found, torch.linalg.pinv(matrix.softmax(-1)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("has_autocast", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_inverse_is_float32_or_better(dtype, has_autocast):
    query, key = (tensor.to(dtype) for tensor in heads(6)[:2])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_autocast):
        inverse = landmark_inverse(query, key)
    assert inverse.dtype == torch.promote_types(dtype, torch.float32)
    exact = landmark_inverse(query.double(), key.double())
    scale = exact.abs().max().item()
    torch.testing.assert_close(inverse.double(), exact, rtol=0, atol=1e-5 * scale)


def test_a_row_does_not_depend_on_the_others(micro: ModelConfig, rows):
    config = replace(micro, attention="nystrom", num_landmarks=4, conv_kernel_size=3)
    model = Transformer(config).double().eval()
    with torch.no_grad():
        together = model(**rows)
        for row in range(5):
            alone = model(**{name: ids[row : row + 1] for name, ids in rows.items()})
            torch.testing.assert_close(together[row], alone[0], **TIGHT)


def test_rows_of_mixed_lengths_have_gradients_and_lose_none(micro: ModelConfig, rows):
    """Some rows are longer than the landmarks, some not."""
    config = replace(micro, attention="nystrom", num_landmarks=9, conv_kernel_size=3)
    model = Transformer(config).double()
    together = torch.autograd.grad(model(**rows).sin().sum(), list(model.parameters()))
    alone = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for row in range(5):
        output = model(**{name: ids[row : row + 1] for name, ids in rows.items()}).sin().sum()
        for total, part in zip(
            alone, torch.autograd.grad(output, list(model.parameters())), strict=True
        ):
            total += part
    torch.testing.assert_close(together, tuple(alone), **TIGHT)


@pytest.mark.parametrize("landmarks", [3, 4, 6])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_states_and_gradients_equal_those_of_transformers(
    micro: ModelConfig, shape_of, scramble, copy_weights, gradients, landmarks, precision
):
    """At its one length, without padding, and with its own exact start of the pseudo-inverse."""
    ours, theirs = _nystromformers(micro, shape_of, scramble, copy_weights, landmarks, 12)
    ours, theirs = ours.to(precision), theirs.to(precision)
    ids = torch.randint(1, 40, (3, 12), generator=torch.Generator().manual_seed(2))
    mine, other = ours(ids), theirs(ids).last_hidden_state
    close = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.float64: TIGHT}[precision]
    torch.testing.assert_close(mine, other, **close)
    mine.sin().sum().backward()
    other.sin().sum().backward()
    found, expected = gradients(ours), gradients(theirs).state_dict()
    for name, gradient in _nystrom_tensors(found).items():
        scale = expected[name].abs().max().clamp(min=1)
        torch.testing.assert_close(
            gradient / scale,
            expected[name] / scale,
            **close,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def test_with_padding_it_equals_transformers_where_that_is_softmax(
    micro: ModelConfig, shape_of, scramble, copy_weights, rows
):
    """Their default: as many landmarks as positions; they let padding into the convolution."""
    config = replace(micro, conv_kernel_size=1)
    ours, theirs = _nystromformers(config, shape_of, scramble, copy_weights, 12, 12)
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        mine, other = ours(**rows)[real], theirs(**rows).last_hidden_state[real]
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def _nystrom_tensors(model: Transformer):
    """Their table of positions has two rows more."""
    tensors = bert_tensors(model, "")
    tensors.pop("embeddings.position_embeddings.weight")
    return tensors


def _nystromformers(micro, shape_of, scramble, copy_weights, landmarks, length):
    config = replace(
        micro,
        embedding_size=16,
        num_hidden_layers=2,
        num_hidden_groups=2,
        attention="nystrom",
        num_landmarks=landmarks,
        conv_kernel_size=micro.conv_kernel_size if micro.conv_kernel_size < 5 else 5,
    )
    shape = {name: value for name, value in shape_of(config).items() if name != "embedding_size"}
    theirs = NystromformerModel(
        NystromformerConfig(
            **shape,
            num_landmarks=landmarks,
            segment_means_seq_len=length,
            conv_kernel_size=config.conv_kernel_size,
        )
    ).eval()
    scramble(theirs)
    with torch.no_grad():  # sharp softmaxes are hardly invertible, and magnify rounding
        for layer in theirs.encoder.layer:
            layer.attention.self.query.weight.mul_(0.3)
    for layer in theirs.encoder.layer:
        layer.attention.self.init_option = "exact"  # its configuration cannot say so
    ours = Transformer(config).eval()
    copy_weights(theirs, _nystrom_tensors(ours))
    positions = theirs.embeddings.position_embeddings.weight.detach()[2:]
    ours.embeddings.position_embeddings.weight.data.copy_(positions)
    return ours, theirs
