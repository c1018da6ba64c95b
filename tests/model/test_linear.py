"""Products by oneDNN's private operator, and without it."""

import pytest
import torch
from torch.nn import functional as F

import model.linear
from benchmarks.networks.side import anonymous_bytes
from model.linear import ROUND, Linear, find_product, is_product, may_use_onednn, product


def test_torch_still_has_the_private_operator_and_it_multiplies():
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    assert find_product() is not None
    assert is_product(find_product())
    assert model.linear.HAS_ONEDNN


def other_signature(states, weight):
    raise AssertionError


def no_kernel(*arguments):
    raise RuntimeError("no kernel")


@pytest.mark.parametrize(
    "operator",
    [None, other_signature, no_kernel, lambda states, weight, *rest: F.linear(states, weight) + 1],
)
def test_an_operator_that_is_missing_or_does_something_else_is_not_used(operator):
    assert not is_product(operator)


def test_outputs_and_gradients_are_the_same_without_it(monkeypatch):
    torch.manual_seed(0)
    layer, states = Linear(24, 40), torch.randn(2 * ROUND, 24, requires_grad=True)

    def results():
        output = layer(states)
        inputs = (states, layer.weight, layer.bias)
        return output, *torch.autograd.grad(output.square().sum(), inputs)

    assert may_use_onednn(states.detach()) == model.linear.HAS_ONEDNN
    ours = results()
    monkeypatch.setattr(model.linear, "HAS_ONEDNN", False)
    assert not may_use_onednn(states)
    for mine, other in zip(ours, results(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-4)


def test_memory_stays_flat_over_many_numbers_of_tokens():
    """Code for all of 500 shapes would be some hundred MiB."""
    counts = range(3500, 4000)
    states, weight = torch.zeros(counts[-1], 48), torch.zeros(64, 48)
    product(states, weight, None)
    before = anonymous_bytes()
    for count in counts:
        product(states[:count], weight, None)
    assert anonymous_bytes() - before < 40 << 20


def test_what_goes_to_onednn_depends_on_the_number_of_tokens_alone():
    chosen = [n for n in range(1, 2049) if may_use_onednn(torch.zeros(n, 3))]
    expected = [*range(64, 512, 64), 512, 1024, 1536, 2048]
    assert chosen == (expected if model.linear.HAS_ONEDNN else [])


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
def test_onednn_is_left_alone_where_it_is_turned_off():
    states = torch.zeros(ROUND, 3)
    with torch.backends.mkldnn.flags(enabled=False):
        assert not may_use_onednn(states)
    assert may_use_onednn(states) == model.linear.HAS_ONEDNN
    assert not may_use_onednn(states[1:])
    assert not may_use_onednn(states[:0])
    assert not may_use_onednn(states.double())
