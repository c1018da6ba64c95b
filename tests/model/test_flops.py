"""The formula beside torch's count of what a forward pass does, which knows float64's products."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.config import LanguageModelConfig
from model.electra import make_electra
from model.flops import BatchSize, step_flops
from model.language_model import LanguageModel
from tests.model.conftest import MASK

SHAPES = {
    "shared": {},
    "not factorized": {"embedding_size": 16},
    "local": {"attention": "local", "local_attention": 4, "global_attn_every_n_layers": 2},
    "causal": {"is_decoder": True, "norm_first": True},
    "causal, local": {"is_decoder": True, "attention": "local", "local_attention": 4},
    "nystrom": {"attention": "nystrom", "num_landmarks": 3, "conv_kernel_size": 0},
}


@pytest.fixture
def batch(batch):
    return batch | {"sentence_order_label": torch.tensor([0, 1, 1, 0, 0])}


def size_of(batch) -> BatchSize:
    rows, length = batch["input_ids"].shape
    counts = (int(batch[name].sum()) for name in ("attention_mask", "masked_positions"))
    return BatchSize(rows, length, *counts)


def count(model, batch) -> int:
    with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**batch)
    return counter.get_total_flops()


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_a_language_model_does_what_the_formula_says(micro, batch, changes):
    weights = {"span_boundary_weight": 0.0 if "is_decoder" in changes else 1.0}
    config = LanguageModelConfig(model=replace(micro, **changes), mask_token_id=MASK, **weights)
    assert 3 * count(LanguageModel(config).double(), batch) == step_flops(config, size_of(batch))


def test_a_pair_does_what_the_formula_says(pair, batch):
    for order in ("neither", "both"):
        config = replace(pair, sentence_order=order)
        assert 3 * count(make_electra(config).double(), batch) == step_flops(config, size_of(batch))
