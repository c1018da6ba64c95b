"""Small shapes, random rows with padding, and weights copied from transformers."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.config import ElectraConfig, ModelConfig

MICRO = ModelConfig(
    vocab_size=40,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=4,
    num_attention_heads=2,
    intermediate_size=24,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    embedding_dropout_prob=0.0,
    max_position_embeddings=12,
)
MASK, PAD, CLS, SEP = 4, 0, 2, 3


@pytest.fixture
def micro() -> ModelConfig:
    return MICRO


@pytest.fixture
def pair() -> ElectraConfig:
    """A generator and a discriminator that differ in every size that may."""
    discriminator = replace(MICRO, hidden_size=12, num_attention_heads=3, num_hidden_groups=2)
    return ElectraConfig(generator=MICRO, discriminator=discriminator, mask_token_id=MASK)


@pytest.fixture
def rows() -> dict[str, Tensor]:
    """Five rows of 12: [CLS] A [SEP] B [SEP] and padding; the first has none."""
    generator = torch.Generator().manual_seed(7)
    lengths = torch.tensor([12, 9, 5, 11, 7])
    second_starts = torch.tensor([6, 5, 3, 11, 4])
    positions = torch.arange(12)
    input_ids = torch.randint(5, 40, (5, 12), generator=generator)
    input_ids[:, 0] = CLS
    input_ids[torch.arange(5), second_starts - 1] = SEP
    input_ids[torch.arange(5), lengths - 1] = SEP
    attention_mask = (positions < lengths[:, None]).long()
    return {
        "input_ids": input_ids.masked_fill(attention_mask == 0, PAD),
        "attention_mask": attention_mask,
        "token_type_ids": (positions >= second_starts[:, None]).long() * attention_mask,
    }


@pytest.fixture
def batch(rows: dict[str, Tensor]) -> dict[str, Tensor]:
    """The rows with masks over ordinary tokens, and labels of every kind."""
    generator = torch.Generator().manual_seed(8)
    ordinary = rows["input_ids"] > MASK
    draw = torch.rand(ordinary.shape, generator=generator)
    return rows | {
        "masked_positions": ordinary & (draw < 0.4),
        "sentence_order_label": torch.tensor([0, 1, 1, -100, 0]),
    }


@pytest.fixture
def shape_of() -> Callable[[ModelConfig], dict[str, Any]]:
    """Return what transformers' configurations have in common, without dropout."""

    def shape(config: ModelConfig) -> dict[str, Any]:
        return {
            "vocab_size": config.vocab_size,
            "embedding_size": config.embedding_size,
            "hidden_size": config.hidden_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "intermediate_size": config.intermediate_size,
            "hidden_act": config.hidden_act,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "max_position_embeddings": config.max_position_embeddings,
            "type_vocab_size": config.type_vocab_size,
            "layer_norm_eps": config.layer_norm_eps,
            "pad_token_id": config.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": None,
        }

    return shape


@pytest.fixture
def albert_config(shape_of):
    """Translate a shape into an AlbertConfig."""
    from transformers import AlbertConfig

    def translate(config: ModelConfig) -> AlbertConfig:
        return AlbertConfig(**shape_of(config), num_hidden_groups=config.num_hidden_groups)

    return translate


@pytest.fixture
def scramble() -> Callable[[nn.Module], None]:
    """Give every parameter a large random value: no bias or LayerNorm hides behind 0 or 1."""

    def scramble_module(module: nn.Module) -> None:
        generator = torch.Generator().manual_seed(9)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)

    return scramble_module


@pytest.fixture
def copy_weights() -> Callable[[nn.Module, Mapping[str, Tensor]], None]:
    """Copy the weights of a transformers model into our tensors of the same names, all of them."""

    def copy(theirs: nn.Module, ours: Mapping[str, Tensor]) -> None:
        state = theirs.state_dict()
        for name, tensor in ours.items():
            tensor.copy_(state[name])

    return copy


@pytest.fixture
def gradients() -> Callable[[nn.Module], nn.Module]:
    """Return a copy of a module that has its gradients in place of its weights."""

    def as_weights(module: nn.Module) -> nn.Module:
        twin = deepcopy(module)
        with torch.no_grad():
            for mine, other in zip(twin.parameters(), module.parameters(), strict=True):
                mine.copy_(torch.zeros_like(other) if other.grad is None else other.grad)
        return twin

    return as_weights
