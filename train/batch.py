"""Rows to tensors: sent as small as they lie on disk, unpacked where the model is.

Shapes: B rows, T tokens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.rows import IGNORED
from shards.format import NO_LABEL, Rows, ShardHeader


@dataclass(frozen=True)
class Batch:
    """What `model.electra.Electra.forward` takes, by its names.

    Attributes:
        input_ids: (B, T) int64.
        attention_mask: (B, T) int64, 1 = a token, 0 = padding.
        token_type_ids: (B, T) int64, 0 = first segment and padding, 1 = second segment.
        masked_positions: (B, T) bool, True = to be predicted.
        sentence_order_label: (B,) int64, 0 = original order, 1 = swapped, -100 = no label.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    masked_positions: Tensor
    sentence_order_label: Tensor


def to_batch(
    rows: Rows, epochs: NDArray[np.int64], header: ShardHeader, device: torch.device
) -> Batch:
    """Send rows to `device` and unpack them there.

    Args:
        rows: B rows.
        epochs: (B,) the epoch each row is read in; it chooses the mask set.
        header: The shards' header.
        device: Where the model is.
    """

    def send(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    input_ids = send(rows.input_ids).long()
    position = torch.arange(header.max_length, device=device)
    is_real = position < send(rows.length).long()[:, None]
    is_second = (position >= send(rows.second_start).long()[:, None]) & is_real
    label = send(rows.sentence_order_label).long()
    packed = send(rows.mask_set(epochs % header.mask_sets, header)).int()
    bits = (packed[:, :, None] >> torch.arange(8, device=device, dtype=torch.int)) & 1
    return Batch(
        input_ids=input_ids,
        attention_mask=is_real.long(),
        token_type_ids=is_second.long(),
        masked_positions=bits.flatten(1)[:, : header.max_length].bool(),
        sentence_order_label=label.masked_fill(label == NO_LABEL, IGNORED),
    )
