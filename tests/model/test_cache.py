"""Reading a row piece by piece gives the logits of reading it at once."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cache import Cache
from model.config import LanguageModelConfig, ModelConfig
from model.language_model import LanguageModel
from model.parts import Parts, language_model_parts
from tests.model.conftest import MICRO
from tests.model.test_language_model import GPT2

SHAPES = {
    "gpt2": replace(MICRO, **GPT2),
    "algpt2": replace(MICRO, **GPT2 | {"num_hidden_groups": 1, "embedding_size": 8}),
    "post-norm, segments": replace(MICRO, is_decoder=True),
}
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def decoder(shape: ModelConfig) -> Parts:
    torch.manual_seed(0)
    model = LanguageModel(LanguageModelConfig(model=replace(shape, initializer_range=0.5)))
    return language_model_parts(model.double().eval())


def read(parts: Parts, ids: torch.Tensor, cache: Cache) -> torch.Tensor:
    every = torch.arange(ids.numel())
    return parts.token_logits_at(every, ids, cache).view(*ids.shape, -1)


@pytest.mark.parametrize("name", SHAPES)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4).filter(lambda n: sum(n) <= 12))
@settings(max_examples=15)
def test_pieces_have_the_logits_of_the_whole(name, lengths):
    parts = decoder(SHAPES[name])
    ids = torch.randint(0, 40, (3, sum(lengths)), generator=torch.Generator().manual_seed(1))
    cache = Cache(SHAPES[name])
    with torch.inference_mode():
        expected = parts.token_logits(ids, torch.ones_like(ids))
        pieces = [read(parts, piece, cache) for piece in ids.split(lengths, 1)]
    assert cache.length == sum(lengths)
    torch.testing.assert_close(torch.cat(pieces, 1), expected, **EXACT)


def test_rows_go_on_with_what_others_have_read():
    shape = SHAPES["gpt2"]
    parts, cache = decoder(shape), Cache(shape)
    ids = torch.randint(0, 40, (3, 7), generator=torch.Generator().manual_seed(2))
    origin = torch.tensor([2, 0, 2])
    moved = torch.cat([ids[origin, :6], ids[:, 6:]], 1)
    with torch.inference_mode():
        read(parts, ids[:, :6], cache)
        cache.reorder(origin)
        found = read(parts, moved[:, 6:], cache)[:, 0]
        expected = parts.token_logits(moved, torch.ones_like(moved))[:, -1]
    torch.testing.assert_close(found, expected, **EXACT)


def test_more_tokens_than_positions_are_refused():
    shape = SHAPES["gpt2"]
    parts, cache = decoder(shape), Cache(shape)
    with torch.inference_mode():
        read(parts, torch.zeros(1, 12, dtype=torch.int64), cache)
        with pytest.raises(ValueError, match="rows of 13 tokens; the model has 12 positions"):
            read(parts, torch.zeros(1, 1, dtype=torch.int64), cache)


@pytest.mark.parametrize("changes", [{}, {"is_decoder": True, "attention": "local"}])
def test_only_a_decoder_that_sees_all_before_it_has_a_cache(changes):
    with pytest.raises(ValueError, match="only a decoder with softmax attention"):
        Cache(replace(MICRO, **changes))
