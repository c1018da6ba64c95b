"""Padding, wherever it lies and whatever is said of it: it is neither asked nor computed."""

from dataclasses import replace

import pytest
import torch

from model.config import LanguageModelConfig
from model.electra import make_electra
from model.language_model import LanguageModel
from model.padding import find_tokens
from model.rows import to_rows
from model.transformer import Transformer
from tests.model.conftest import MASK


def test_tokens_are_packed_unpacked_and_ranked():
    mask = torch.tensor([[0, 1, 1], [0, 0, 0], [1, 0, 1]])
    ids = torch.arange(1, 10).view(3, 3)
    tokens = find_tokens(ids, mask)
    assert tokens.pack(ids).tolist() == [2, 3, 7, 9]
    assert torch.equal(tokens.unpack(tokens.pack(ids)), ids * mask)
    assert tokens.rank(torch.tensor([8, 1, 6, 8])).tolist() == [3, 0, 2, 3]


def test_a_wanted_place_in_the_padding_is_no_other_token(micro, rows):
    model = Transformer(micro)
    for place in (21, 59):  # after the nine tokens of row 1, and the last of all
        with pytest.raises(IndexError):
            model(**rows, wanted=torch.tensor([0, place]))


def test_a_position_in_the_padding_is_not_masked(pair, batch):
    model = make_electra(replace(pair, mask_replace_prob=1.0)).double()
    real = batch["attention_mask"].bool()
    found = []
    for masked in (batch["masked_positions"], batch["masked_positions"] | ~real):
        torch.manual_seed(0)
        output = model(**batch | {"masked_positions": masked})
        model.zero_grad()
        model.loss(output).backward()
        found.append((output, [parameter.grad for parameter in model.parameters()]))
        assert model.count(**batch | {"masked_positions": masked}) == output.counts
    (one, mine), (other, theirs) = found
    assert one.counts == other.counts
    assert torch.equal(one.read_ids, other.read_ids)
    assert all(torch.equal(*both) for both in zip(mine, theirs, strict=True))


def test_a_row_that_is_all_padding_adds_nothing(pair, batch):
    """Also the last one, and with masked positions and a label."""
    model = make_electra(replace(pair, sentence_order="both", mask_replace_prob=1.0)).double()
    with torch.no_grad():  # certain of one token: draws what it did, whatever the noise
        model.generator.objectives["masked_language_model"].head.bias[11] = 1e4
    for row in range(5):
        empty = {name: tensor.clone() for name, tensor in batch.items()}
        empty["attention_mask"][row] = 0
        empty["masked_positions"][row] = True
        empty["sentence_order_label"][row] = 1
        others = {name: tensor[torch.arange(5) != row] for name, tensor in batch.items()}
        ours, theirs = model(**empty), model(**others)
        assert model.count(**empty) == ours.counts == theirs.counts
        torch.testing.assert_close(ours.losses, theirs.losses, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [0, 2])
def test_a_batch_without_a_token_costs_nothing(pair, batch, size):
    model = make_electra(replace(pair, sentence_order="both"))
    nothing = {name: tensor[:size] for name, tensor in batch.items()}
    nothing["attention_mask"] = torch.zeros_like(nothing["attention_mask"])
    output = model(**nothing)
    assert not any(output.counts.values())
    loss = model.loss(output)
    assert loss == 0
    loss.backward()
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)


def test_the_order_is_read_from_a_row_s_first_token_wherever_it_lies(micro, rows):
    config = LanguageModelConfig(model=micro, mask_token_id=MASK, masked_language_model_weight=0.0)
    model = LanguageModel(config).double()
    left = {name: ids.flip(1) for name, ids in rows.items()}  # padding comes first
    labels = torch.tensor([0, 1, 1, -100, 0])
    states = model.network.backbone(**left)
    first = states[torch.arange(5), left["attention_mask"].argmax(1)]
    logits = model.network.objectives["sentence_order"].head(first)
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    score = model(**left, sentence_order_label=labels).scores["sentence_order"]
    torch.testing.assert_close(score.loss, expected, rtol=1e-12, atol=1e-12)
    assert score.targets == 4
    assert score.correct == (logits.argmax(1) == labels).sum()


def test_a_batch_says_which_of_its_masked_positions_are_real():
    masked = torch.ones(1, 3, dtype=torch.bool)
    rows = to_rows(torch.ones(1, 3, dtype=torch.long), torch.tensor([[1, 1, 0]]), None, masked)
    assert rows.masked_positions.tolist() == [[True, True, False]]
