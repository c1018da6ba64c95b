"""With its places given, a forward and a backward pass reads no number of a tensor.

On a device each such number is a wait for it, and where tensors are only shapes there is none.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from model.config import LanguageModelConfig, ModelConfig
from model.electra import make_electra
from model.language_model import LanguageModel
from model.presets import PRESETS
from model.rows import to_rows
from tests.model.families import FAMILIES, run

aten = torch.ops.aten
READS = {
    aten.nonzero,
    aten._local_scalar_dense,
    aten.equal,
    aten.masked_select,
    aten.is_nonzero,
    aten._unique2,
    aten.unique_dim,
    aten.unique_consecutive,
    aten.repeat_interleave,
    aten.bincount,
}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class NoReads(TorchDispatchMode):
    """Refuse what waits for a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        packet = func.overloadpacket
        assert packet not in READS, f"{func} is a host read"
        if packet in INDEXING:
            kinds = {index.dtype for index in args[1] if index is not None}
            assert not kinds & {torch.bool, torch.uint8}, f"{func} by a mask is a host read"
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=FAMILIES)
def model(request) -> nn.Module:
    torch.manual_seed(0)
    return FAMILIES[request.param]()


@pytest.fixture(params=["padded", "full"])
def given(request, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The batch and its places."""
    if request.param == "full":
        batch = batch | {"attention_mask": torch.ones_like(batch["attention_mask"])}
    return batch | {"places": to_rows(**batch).places}


def test_nothing_is_read_with_places_given(model, given):
    with NoReads():
        found = run(model, given)
    expected = run(model, given | {"places": None})
    assert all(torch.equal(*both) for both in zip(found, expected, strict=True))


def test_without_places_something_is(model, given):
    with pytest.raises(AssertionError, match="host read"), NoReads():
        model(**given | {"places": None})


def fake(mode: FakeTensorMode, batch: dict[str, Any]) -> dict[str, Any]:
    return tree_map_only(Tensor, mode.from_tensor, batch)


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_are_enough(family, given):
    with FakeTensorMode() as mode:
        model = FAMILIES[family]()
        found = run(model, fake(mode, given))
    expected = run(FAMILIES[family](), given)
    assert [one.shape for one in found] == [one.shape for one in expected]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_made_of_shapes(preset, given):
    """A forward and a backward pass of few layers; making the largest takes seconds as it is."""
    config = PRESETS[preset].model
    with FakeTensorMode() as mode:
        if isinstance(config, LanguageModelConfig):
            model = LanguageModel(replace(config, model=shortened(config.model)))
        else:
            generator, discriminator = shortened(config.generator), shortened(config.discriminator)
            model = make_electra(replace(config, generator=generator, discriminator=discriminator))
        found = run(model, fake(mode, given))
    assert all(mode.is_our_fake(one) for one in found)


def shortened(config: ModelConfig) -> ModelConfig:
    layers = min(2, config.num_hidden_layers)
    return replace(
        config, num_hidden_layers=layers, num_hidden_groups=min(layers, config.num_hidden_groups)
    )


def test_the_places_of_a_batch(batch):
    rows = to_rows(**batch)
    tokens, places = rows.places.tokens, rows.places
    assert tokens.by_length.tolist() == [2, 4, 1, 3, 0]
    assert tokens.lengths == (5, 7, 9, 11, 12)
    is_real = batch["attention_mask"].flatten().bool()
    assert tokens.places.tolist() == is_real.nonzero().flatten().tolist()
    assert (
        places.masked.tolist() == batch["masked_positions"].flatten().nonzero().flatten().tolist()
    )
    last = [11, 20, 28, 46, 54]
    assert places.followed.tolist() == [one for one in tokens.places.tolist() if one not in last]
    assert places.ordered.tolist() == [0, 12, 24, 48]
