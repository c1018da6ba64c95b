"""What a network reads, and what it should say of it.

Shapes: B rows, T places.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from model.padding import find_tokens
from model.places import IGNORED, Places, find_places


class Rows(NamedTuple):
    """A batch as one network gets it.

    Attributes:
        input_ids: What it reads (B, T) int64.
        original_ids: What stood there (B, T) int64.
        attention_mask: 1 = a token, 0 = padding (B, T); None = no padding.
        token_type_ids: 0 = first segment, 1 = second (B, T); None = all first.
        masked_positions: Tokens to be predicted (B, T) bool; never padding.
        sentence_order_label: 0 = original order, 1 = swapped, -100 = no label (B,).
        places: Where all this lies.
    """

    input_ids: Tensor
    original_ids: Tensor
    attention_mask: Tensor | None
    token_type_ids: Tensor | None
    masked_positions: Tensor
    sentence_order_label: Tensor
    places: Places


def to_rows(
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    token_type_ids: Tensor | None = None,
    masked_positions: Tensor | None = None,
    sentence_order_label: Tensor | None = None,
    places: Places | None = None,
) -> Rows:
    """Return a batch of original tokens as a network gets it.

    No mask = no padding, no types = all first segments, no positions = none masked, no labels =
    none. A position in the padding is not masked: there is nothing to predict. Places that are
    given are those that would be found; whether they are is not checked.
    """
    if masked_positions is None:
        masked_positions = torch.zeros_like(input_ids, dtype=torch.bool)
    elif attention_mask is not None:
        masked_positions = masked_positions & attention_mask.bool()
    if sentence_order_label is None:
        sentence_order_label = torch.full_like(input_ids[:, 0], IGNORED)
    if places is None:
        tokens = find_tokens(input_ids, attention_mask)
        places = find_places(tokens, masked_positions, sentence_order_label)
    return Rows(
        input_ids=input_ids,
        original_ids=input_ids,
        attention_mask=attention_mask,
        token_type_ids=token_type_ids,
        masked_positions=masked_positions,
        sentence_order_label=sentence_order_label,
        places=places,
    )
