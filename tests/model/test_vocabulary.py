"""Cross-entropy in chunks beside torch's over all logits, and draws beside the softmax."""

import pytest
import torch
from torch.nn import functional as F

from model import vocabulary
from model.vocabulary import predict_vocabulary, sample


def inputs(tokens: int, rows: int, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    shapes = (tokens, 6), (rows, 6), (rows,)
    tensors = [torch.randn(shape, generator=generator, dtype=dtype) * 2 for shape in shapes]
    labels = torch.randint(0, 29, (tokens,), generator=generator)
    return [tensor.requires_grad_() for tensor in tensors], labels


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("rows", [29, 32])
@pytest.mark.parametrize("chunk_elements", [1, 100, 1 << 20])
def test_loss_and_gradients_are_those_of_all_logits(monkeypatch, chunk_elements, rows, has_bias):
    """Also with rows of the table that pad the vocabulary of 29."""
    monkeypatch.setattr(vocabulary, "CPU_CHUNK", chunk_elements)
    mine, labels = inputs(17, rows)
    other, _ = inputs(17, rows)
    ours = predict_vocabulary(*mine[:2], mine[2] if has_bias else None, labels, vocab_size=29)
    logits = F.linear(other[0], other[1], other[2] if has_bias else None)[:, :29]
    theirs = F.cross_entropy(logits, labels, reduction="sum")
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(ours.loss, theirs, **close)
    assert ours.correct == (logits.argmax(-1) == labels).sum()
    (3 * ours.loss).backward()
    (3 * theirs).backward()
    for one, another in zip(mine[: 2 + has_bias], other[: 2 + has_bias], strict=True):
        torch.testing.assert_close(one.grad, another.grad, **close)


def test_no_more_logits_are_held_than_a_chunk(monkeypatch):
    monkeypatch.setattr(vocabulary, "CPU_CHUNK", 100)
    seen = []
    draw = vocabulary.sample
    monkeypatch.setattr(vocabulary, "sample", lambda p: seen.append(p.numel()) or draw(p))
    (features, table, bias), labels = inputs(17, 29)
    predict_vocabulary(features, table, bias, labels, vocab_size=29, temperature=1.0)
    assert max(seen) <= 100
    assert len(seen) == 6


def test_nothing_to_predict_costs_nothing_and_has_gradients():
    (features, table, bias), labels = inputs(0, 29)
    found = predict_vocabulary(features, table, bias, labels, vocab_size=29, temperature=1.0)
    assert found.loss == found.correct == len(found.sampled) == 0
    found.loss.backward()
    assert not table.grad.any()


def test_an_extreme_logit_gives_no_infinite_loss():
    features, table = torch.tensor([[1.0]]), torch.tensor([[1e4], [0.0], [-1e4]])
    loss = predict_vocabulary(features, table, None, torch.tensor([2]), vocab_size=3).loss
    assert loss == 2e4


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_draws_follow_the_softmax(temperature):
    """Each token's count is within 3 sigma of its expectation."""
    torch.manual_seed(0)
    draws, table = 40_000, torch.tensor([2.0, 1.0, 0.0, -1.0, 0.5, -5.0, 9.0])[:, None]
    features, labels = torch.ones(draws, 1), torch.zeros(draws, dtype=torch.long)
    found = predict_vocabulary(features, table, None, labels, vocab_size=6, temperature=temperature)
    share = (table[:6, 0] / temperature).softmax(0)
    sigma = (draws * share * (1 - share)).sqrt()
    counts = found.sampled.bincount(minlength=7)
    assert counts[6] == 0  # beyond the vocabulary
    assert ((counts[:6] - draws * share).abs() < 3 * sigma).all()


def test_unlikely_tokens_are_drawn_as_often_as_they_should():
    """A tenth of the mass lies on 30,000 tokens, each too light for a float32 sum near 1."""
    torch.manual_seed(0)
    probabilities = torch.full((1, 30_001), 0.1 / 30_000)
    probabilities[0, 0] = 0.9
    drawn = torch.cat([sample(probabilities.expand(200, -1)) for _ in range(50)])
    tail = drawn[drawn > 0]
    assert abs(len(tail) - 1000) < 3 * (10_000 * 0.1 * 0.9) ** 0.5
    assert abs(tail.float().mean() - 15_000) < 3 * 30_000 / 12**0.5 / len(tail) ** 0.5


def test_impossible_tokens_are_never_drawn():
    probabilities = torch.zeros(2_000, 10)
    probabilities[:, [3, 9]] = torch.tensor([1e-3, 1 - 1e-3])
    assert set(sample(probabilities).tolist()) <= {3, 9}


def test_logits_are_rounded_to_the_precision_of_autocast():
    (features, table, bias), labels = inputs(17, 29, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = predict_vocabulary(features, table, bias, labels, vocab_size=29).loss
    logits = (features.bfloat16() @ table.bfloat16().t()).float() + bias
    torch.testing.assert_close(found, F.cross_entropy(logits, labels, reduction="sum"))
    whole = F.cross_entropy(F.linear(features, table, bias), labels, reduction="sum")
    assert abs(found - whole) > 1e-4 * whole


def test_half_precision_states_give_float32_losses_and_their_own_gradients():
    (features, table, bias), labels = inputs(17, 29, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = predict_vocabulary(features, table, bias, labels, vocab_size=29, temperature=1.0)
    exact = F.cross_entropy(F.linear(features, table, bias), labels, reduction="sum")
    assert found.loss.dtype == torch.float32
    torch.testing.assert_close(found.loss, exact, rtol=0.02, atol=0.02)
    found.loss.backward()
    assert features.grad.dtype == table.grad.dtype == torch.float32
    gradient = torch.autograd.grad(exact, table)[0]
    assert (table.grad - gradient).norm() < 0.02 * gradient.norm()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_costs_nan_and_still_draws_tokens(value):
    """Rows of the table beyond the vocabulary are not drawn either."""
    (features, table, bias), labels = inputs(17, 32)
    with torch.no_grad():
        features[3] = value
    found = predict_vocabulary(features, table, bias, labels, vocab_size=29, temperature=1.0)
    assert not found.loss.isfinite()
    assert len(found.sampled) == 17
    assert found.sampled.min() >= 0
    assert found.sampled.max() < 29


@pytest.mark.parametrize("columns", [1, 2, 9, 10])
def test_rows_that_are_not_finite_give_some_column(columns):
    probabilities = torch.full((4, columns), torch.nan)
    drawn = sample(probabilities)
    assert ((drawn >= 0) & (drawn < columns)).all()


def test_no_copy_of_a_table_of_lower_precision_is_kept():
    (features, table, bias), labels = inputs(17, 29, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = predict_vocabulary(features, table, bias, labels, vocab_size=29).loss
    kept = [tensor for tensor in loss.grad_fn.grads if tensor.shape == table.shape]
    assert [tensor.dtype for tensor in kept] == [torch.float32]
