import io
import math
import sys

import pytest
import torch
from torch import nn

from model.configure import configure
from model.electra import make_electra
from shards.errors import DataError
from train.config import pretrain_config
from train.optimizer import adamw, layer_matrices, make_optimizer

NAMES = ("adamw", "sgd", "lamb", "adafactor", "muon")


class Small(nn.Module):
    """A table, a list of layers and a head, as every network here has."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens):
        states = self.table(tokens)
        for layer in self.layers:
            states = states + layer(states).tanh()
        return self.head(self.norm(states))


def make(name, **chosen):
    if name == "lamb":
        pytest.importorskip("pytorch_optimizer")
    torch.manual_seed(0)
    model = Small()
    rate = {"sgd": 0.1, "muon": 0.01}.get(name, 0.02)
    config = pretrain_config("tiny", optimizer=name, **({"learning_rate": rate} | chosen))
    return model, make_optimizer(model, config)


def train(model, optimizer, steps, loss=None):
    for step in steps:
        tokens = torch.randint(11, (4, 5), generator=torch.Generator().manual_seed(step))
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten() % 3)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] *= 0.9
        optimizer.step()
    return loss


@pytest.mark.parametrize("name", NAMES)
def test_a_resume_is_exact(name):
    model, optimizer = make(name)
    train(model, optimizer, range(3))
    kept = io.BytesIO()
    torch.save((model.state_dict(), optimizer.state_dict()), kept)
    train(model, optimizer, range(3, 6))

    resumed, other = make(name)
    weights, state = torch.load(io.BytesIO(kept.getvalue()), weights_only=True)
    resumed.load_state_dict(weights)
    other.load_state_dict(state)
    train(resumed, other, range(3, 6))
    for one, two in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)
    assert str(optimizer.state_dict()) == str(other.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_learns_and_has_every_weight_once(name):
    model, optimizer = make(name)
    first = train(model, optimizer, [0]).item()
    for group in optimizer.param_groups:
        group["lr"] = 0.1 if name == "sgd" else 0.02
    assert train(model, optimizer, [0] * 15).item() < 0.7 * first
    held = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(held) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_not_decayed_and_embeddings_are(name):
    model, optimizer = make(name, weight_decay=0.5)
    for group in optimizer.param_groups:
        assert {weight.ndim > 1 for weight in group["params"]} == {group["weight_decay"] == 0.5}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    after = model.state_dict()
    for key, value in before.items():
        assert torch.equal(after[key], value) == (value.ndim <= 1), key
        assert after[key].norm() <= value.norm()


def test_adamw_takes_one_kernel_and_the_constants_of_the_configuration():
    _, optimizer = make("adamw")
    group = optimizer.param_groups[0]
    assert (group["fused"], group["betas"], group["eps"]) == (True, (0.9, 0.999), 1e-6)
    other = adamw(Small(), 1e-3).param_groups[0]
    assert (other["betas"], other["eps"], other["weight_decay"]) == ((0.9, 0.999), 1e-6, 0.01)
    config = pretrain_config("gpt2-small")
    assert make_optimizer(Small(), config).param_groups[0]["betas"] == (0.9, 0.95)


def test_weights_that_are_not_trained_are_left_out():
    model = Small()
    model.table.requires_grad_(False)
    held = adamw(model, 1e-3).param_groups[0]["params"]
    assert all(weight is not model.table.weight for weight in held)


def test_muon_has_the_matrices_of_layers_alone():
    model = configure(
        "home", vocab_size=40, max_position_embeddings=8, pad_token_id=0, mask_token_id=4
    )
    pair = make_electra(model)
    names = {id(weight): name for name, weight in pair.named_parameters()}
    found = {names[id(weight)] for weight in layer_matrices(pair)}
    ends = ("attention.query_key_value", "attention.dense", "feed_forward.expand")
    ends = (*ends, "feed_forward.contract")
    assert found == {
        f"{part}.backbone.layers.0.{end}.weight"
        for part in ("generator", "discriminator")
        for end in ends
    }


def test_an_update_of_muon_is_orthogonal_and_of_the_size_of_adamws():
    model, optimizer = make("muon", weight_decay=0.0, learning_rate=0.01)
    before = model.layers[0].weight.detach().clone()
    train(model, optimizer, [0])
    update = (before - model.layers[0].weight.detach()) / (0.01 * 0.9)
    values = torch.linalg.svdvals(update) / (0.2 * math.sqrt(8))
    # Newton-Schulz stops near 1; Muon computes it in bfloat16.
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_lamb_does_as_alberts_code_does():
    model, optimizer = make("lamb", weight_decay=0.1)
    model.table.weight.data *= 100  # its norm is above the package's own limit of 10
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    train(model, optimizer, [0])
    rate = 0.02 * 0.9
    for name, weight in model.named_parameters():
        mean, square = 0.1 * weight.grad, 0.001 * weight.grad**2
        update = mean / (square.sqrt() + 1e-6)
        if weight.ndim > 1:
            update = update + 0.1 * before[name]
            update = update * before[name].norm() / update.norm()
        expected = before[name] - rate * update
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-4, atol=1e-6)


def test_lamb_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    config = pretrain_config("tiny", optimizer="lamb", learning_rate=1e-3)
    with pytest.raises(DataError, match=r"needs the package pytorch_optimizer: .*\[lamb\]"):
        make_optimizer(Small(), config)
