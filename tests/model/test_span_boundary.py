"""Which masked tokens have something on both sides, and that nothing else reaches their loss."""

import pytest
import torch

from model.config import LanguageModelConfig, ModelConfig
from model.language_model import LanguageModel
from model.spans import Spans, is_told, spans_at
from tests.model.conftest import MASK


@pytest.fixture
def model(micro: ModelConfig, scramble) -> LanguageModel:
    config = LanguageModelConfig(
        model=micro,
        mask_token_id=MASK,
        masked_language_model_weight=0.0,
        sentence_order_weight=0.0,
        span_boundary_weight=1.0,
        mask_replace_prob=1.0,
        random_replace_prob=0.0,
    )
    model = LanguageModel(config).double()
    scramble(model)
    return model


def find(masked: torch.Tensor, is_real: torch.Tensor) -> tuple[list[int], Spans]:
    places = is_told(masked, is_real).flatten().nonzero().squeeze(1)
    return places.tolist(), spans_at(places, masked)


def test_a_span_s_tokens_are_numbered_up_to_the_twentieth():
    masked = torch.zeros(2, 30, dtype=torch.bool)
    masked[0, 1:24] = True
    masked[1, [3, 4, 7]] = True
    places, spans = find(masked, torch.ones_like(masked))
    assert places == [*range(1, 21), 33, 34, 37]
    assert spans.number.tolist() == [*range(20), 0, 1, 0]
    assert set(spans.left[:20].tolist()) == {0}
    assert set(spans.right[:20].tolist()) == {24}
    assert spans.left[20:].tolist() == [32, 32, 36]
    assert spans.right[20:].tolist() == [35, 35, 38]


def test_a_span_counts_that_has_a_real_token_on_either_side():
    """Rows of 8: no padding; padding after 5 tokens; before 5; all of it padding."""
    is_real = torch.zeros(4, 8, dtype=torch.bool)
    is_real[0], is_real[1, :5], is_real[2, 3:] = True, True, True
    for start, end, rows in (
        (0, 2, []),  # at the beginning of rows 0 and 1
        (1, 3, [0, 1]),
        (3, 5, [0]),  # at the end of the tokens of row 1, at the beginning of those of row 2
        (4, 6, [0, 2]),
        (6, 8, []),
        (0, 8, []),
    ):
        masked = torch.zeros_like(is_real)
        masked[:, start:end] = True
        places, spans = find(masked & is_real, is_real)
        expected = [(8 * row + place) for row in rows for place in range(start, end)]
        assert places == expected, (start, end)
        assert spans.left.tolist() == [place // 8 * 8 + start - 1 for place in expected]
        assert spans.right.tolist() == [place // 8 * 8 + end for place in expected]


def test_a_span_before_padding_takes_nothing_from_another_row(model: LanguageModel, rows):
    """Row 2 has 5 tokens; a span that ends with them has none after it."""
    masked = torch.zeros(5, 12, dtype=torch.bool)
    masked[0, 2:4], masked[2, 3:5] = True, True
    found = []
    for filler in (9, 17):
        ids = rows["input_ids"].clone()
        ids[3:] = filler
        score = model(**rows | {"input_ids": ids}, masked_positions=masked).scores["span_boundary"]
        assert score.targets == 2
        found.append(score.loss)
    assert torch.equal(*found)


def test_the_count_is_of_the_tokens_that_are_predicted(model: LanguageModel, rows):
    masked = torch.zeros(5, 12, dtype=torch.bool)
    masked[0, 3:5], masked[1, 8:], masked[4, :2] = True, True, True
    batch = rows | {"masked_positions": masked}
    assert model.count(**batch) == model(**batch).counts == {"span_boundary": 2}
