"""torch.compile: one graph for all batches, and the numbers that there are without it."""

import shutil
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from model.config import ElectraConfig
from model.electra import make_electra
from model.rows import to_rows
from tests.model.conftest import MASK, MICRO
from tests.model.families import FAMILIES, run

pytestmark = pytest.mark.filterwarnings("default")  # torch warns of what its own compiler does


def batch(rows: int, length: int) -> dict[str, Tensor]:
    """Rows of random lengths, the first full, with their places."""
    generator = torch.Generator().manual_seed(rows)
    lengths = torch.randint(3, length + 1, (rows,), generator=generator)
    lengths[0] = length
    is_real = torch.arange(length) < lengths[:, None]
    masked = torch.rand(rows, length, generator=generator) < 0.3
    masked[0, 0] = True  # so that more are masked than can be told: equal sizes are taken for one
    made = {
        "input_ids": torch.randint(5, 40, (rows, length), generator=generator),
        "attention_mask": is_real.long(),
        "token_type_ids": is_real.long(),
        "masked_positions": is_real & masked,
        "sentence_order_label": torch.randint(0, 2, (rows,), generator=generator),
    }
    return made | {"places": to_rows(**made).places}


@pytest.mark.parametrize(
    "family",
    [
        "electra",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("albert", "bert", "gpt2", "local", "spanbert")
        ),
    ],
)
def test_one_graph_serves_all_shapes(family):
    torch._dynamo.reset()
    counter = CompileCounter()
    model = FAMILIES[family]()
    compiled = torch.compile(model, backend=counter, dynamic=True, fullgraph=True)
    for shape in ((9, 12), (8, 11), (7, 10)):
        given = batch(*shape)
        found, expected = run(compiled, given), run(model, given)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert counter.frame_count == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_numbers_are_those_of_eager():
    """ELECTRA of one layer and sentence order on both sides; the compiler takes a minute."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    shape = replace(MICRO, num_hidden_layers=1)
    config = ElectraConfig(
        generator=shape, discriminator=shape, mask_token_id=MASK, sentence_order="both"
    )
    model = make_electra(config)
    with torch._inductor.config.patch(fallback_random=True):
        compiled = torch.compile(model, dynamic=True, fullgraph=True)
        for size in ((9, 12), (8, 11)):
            given = batch(*size)
            found, expected = run(compiled, given), run(model, given)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
