import re

import pytest
import torch

from shards.errors import DataError
from train import precision as module
from train.precision import (
    HOME,
    Precision,
    autocast,
    choose_precision,
    fastest,
    find_fastest,
    find_fault,
    is_native,
    time_training,
    tried_network,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_agrees_with_float32_is_sound(dtype):
    assert find_fault(CPU, dtype) is None


def overflowing(states, first, second):
    """As cards do whose sums in float16 go beyond its range."""
    product = states @ first
    return tried_network(states, first, second) + (product * 7e4).sum(-1, keepdim=True) * 0


def wrong_by_half(states, first, second):
    output = tried_network(states, first, second)
    return output if (states @ first).dtype == torch.float32 else output * 1.5


def wrong_backwards(states, first, second):
    output = tried_network(states, first, second)
    if (states @ second).dtype != torch.float32:
        output = output + (second - second.detach()).sum()
    return output


def refused(states, first, second):
    if (product := states @ first).dtype != torch.float32:
        raise RuntimeError("no kernel for Half\nException raised from somewhere")
    return product @ second


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        (overflowing, "a small network's output is not finite"),
        (wrong_by_half, r"a small network's output is off by \d\d%"),
        (wrong_backwards, r"a small network's gradient is off by \d+%"),
        (refused, "no kernel for Half$"),
    ],
)
def test_a_broken_product_is_found(network, fault):
    assert re.match(fault, find_fault(CPU, torch.float16, network) or "sound")
    assert find_fault(CPU, torch.float32, network) is None


def test_the_fastest_sound_one_is_chosen_and_said():
    found = fastest({"float32": 3.0, "bfloat16": 1.0}, {"float16": "a small network's output"})
    assert (found.name, found.dtype, found.needs_scaler) == ("bfloat16", torch.bfloat16, False)
    assert found.reason == (
        "bfloat16: 3.0 times as fast as float32 (float16 is left out: a small network's output)"
    )
    other = fastest({"float32": 3.0, "float16": 1.0}, {"bfloat16": "no instructions"})
    assert (other.name, other.needs_scaler) == ("float16", True)


def test_less_error_outweighs_a_little_time():
    assert fastest({"float32": 1.0, "bfloat16": 0.95}, {}).name == "float32"
    assert fastest({"float32": 1.0, "bfloat16": 0.50, "float16": 0.48}, {}).name == "bfloat16"
    assert fastest({"float32": 1.0, "bfloat16": 0.50, "float16": 0.40}, {}).name == "float16"
    slow = fastest({"float32": 1.0, "float16": 4.0}, {"bfloat16": "broken"})
    assert slow.reason == (
        "float32: nothing is sound and faster on this device "
        "(float16 0.2 times; bfloat16 is left out: broken)"
    )


def test_auto_is_float32_on_a_cpu():
    found = choose_precision("auto", CPU)
    assert found.name == "float32"
    assert found.reason.startswith("float32: on a CPU, ")


def test_the_fastest_is_among_what_the_device_has_instructions_for():
    state = torch.get_rng_state()
    found = find_fastest(CPU, HOME)
    assert found.name in ("float32", "bfloat16")
    assert found.name == "float32" or is_native(CPU, torch.bfloat16)
    assert found.reason.startswith(f"{found.name}: ")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_device_without_instructions_stays_at_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    found = find_fastest(CPU, HOME)
    assert found.name == "float32"
    assert "bfloat16 is left out: the device has no instructions for it" in found.reason
    asked = choose_precision("bfloat16", CPU)
    assert asked.reason == "bfloat16, as asked for; the device has no instructions for it"


def test_what_is_asked_for_must_be_sound(monkeypatch):
    assert choose_precision("float32", CPU) == Precision("float32", "float32, as asked for")
    assert choose_precision("float16", CPU).needs_scaler
    monkeypatch.setattr(module, "tried_network", overflowing)
    with pytest.raises(DataError, match="--precision float16 is unsound on cpu: a small network"):
        choose_precision("float16", CPU)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_products_are_of_the_format_and_weights_are_not(name):
    layer = torch.nn.Linear(4, 4)
    with autocast(Precision(name, ""), CPU):
        assert layer(torch.ones(2, 4)).dtype == module.DTYPES[name]
    assert layer.weight.dtype == torch.float32


def test_the_time_of_a_pass_is_of_seconds_not_more():
    assert 0 < time_training(CPU, torch.float32, HOME) < 5
