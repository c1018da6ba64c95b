"""32 rows at once, 8 at a time and one at a time: the same losses, counts and gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from model.config import LanguageModelConfig
from model.electra import make_electra
from model.language_model import LanguageModel
from tests.model.conftest import MASK


@pytest.fixture
def many() -> dict[str, Tensor]:
    """Rows of every length, labels of every kind, and rows with nothing masked."""
    generator = torch.Generator().manual_seed(5)
    lengths = torch.randint(1, 13, (32,), generator=generator)
    mask = torch.arange(12) < lengths[:, None]
    labels = torch.randint(0, 3, (32,), generator=generator)
    return {
        "input_ids": torch.randint(5, 40, (32, 12), generator=generator),
        "attention_mask": mask.long(),
        "masked_positions": (torch.rand(32, 12, generator=generator) < 0.3) & mask,
        "sentence_order_label": labels.masked_fill(labels == 2, -100),
    }


def electra(pair, micro) -> nn.Module:
    model = make_electra(replace(pair, sentence_order="both", mask_replace_prob=1.0))
    with torch.no_grad():  # certain of one token: draws the same whatever the noise
        model.generator.objectives["masked_language_model"].head.bias[11] = 1e4
    return model


def spanbert(pair, micro) -> nn.Module:
    config = LanguageModelConfig(
        model=micro,
        mask_token_id=MASK,
        span_boundary_weight=1.0,
        mask_replace_prob=1.0,
        random_replace_prob=0.0,
    )
    return LanguageModel(config)


@pytest.mark.parametrize("make", [electra, spanbert])
def test_a_step_is_the_sum_of_its_micro_batches(pair, micro, many, make):
    model = make(pair, micro).double()
    parameters = list(model.parameters())
    whole = model(**many)
    assert model.count(**many) == whole.counts
    loss = model.loss(whole)
    expected = torch.autograd.grad(loss, parameters)
    for size in (8, 1):
        total, found = 0.0, [torch.zeros_like(parameter) for parameter in parameters]
        for start in range(0, 32, size):
            part = {name: tensor[start : start + size] for name, tensor in many.items()}
            output = model(**part)
            assert model.count(**part) == output.counts
            cost = model.loss(output, model.count(**many))
            total += cost.detach()
            for sum_, gradient in zip(found, torch.autograd.grad(cost, parameters), strict=True):
                sum_ += gradient
        torch.testing.assert_close(total, loss.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(tuple(found), expected, rtol=1e-11, atol=1e-11)


def test_counts_are_of_what_is_there(pair, micro, many):
    lengths, labels = many["attention_mask"].sum(), many["sentence_order_label"]
    counts = electra(pair, micro).count(**many)
    assert {name: count.item() for name, count in counts.items()} == {
        "masked_language_model": many["masked_positions"].sum(),
        "replaced_token": lengths,
        "sentence_order": (labels >= 0).sum(),
        "generator_sentence_order": (labels >= 0).sum(),
    }
