"""Rows to tensors: sent as small as they lie on disk, unpacked where the model is.

What a device would have to be asked for, how many tokens there are of each kind and where they lie,
is found here, on the host, and sent too (`model.places`).

Shapes: B rows, T tokens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.padding import Tokens, find_tokens
from model.places import IGNORED, Places, find_places
from shards.format import NO_LABEL, Rows, ShardHeader, unpack_masks

ROUND = 8
"""Divides the width of a micro-batch: what matrix units of GPUs want."""


@dataclass(frozen=True)
class Batch:
    """What the `forward` of `Electra` and `LanguageModel` takes, by its names.

    Attributes:
        input_ids: (B, T) int64.
        attention_mask: (B, T) int64, 1 = a token, 0 = padding.
        token_type_ids: (B, T) int64, 0 = first segment and padding, 1 = second segment.
        masked_positions: (B, T) bool, True = to be predicted.
        sentence_order_label: (B,) int64, 0 = original order, 1 = swapped, -100 = no label.
        places: Where all this lies.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    masked_positions: Tensor
    sentence_order_label: Tensor
    places: Places


def to_batches(
    rows: Rows,
    epochs: NDArray[np.int64],
    header: ShardHeader,
    micro_batch: int,
    device: torch.device,
) -> list[Batch]:
    """Send rows to `device` as micro-batches of like lengths, the longest first.

    Each is as wide as its longest row, rounded up to a multiple of 8 that is no more than the rows
    have. Rows of one length stay in order.

    Args:
        rows: At least one row.
        epochs: The epoch each row is read in; it chooses the mask set.
        header: The shards' header.
        micro_batch: Rows of a micro-batch at most.
        device: Where the model is.
    """
    order = np.argsort(-rows.length.astype(np.int64), kind="stable")
    parts = (order[start : start + micro_batch] for start in range(0, len(order), micro_batch))
    return [
        _send(rows.take(part), epochs[part], header, _width(rows.length[part], header), device)
        for part in parts
    ]


def to_batch(
    rows: Rows, epochs: NDArray[np.int64], header: ShardHeader, device: torch.device
) -> Batch:
    """Send rows to `device` as one batch, in their order and at their full width."""
    return _send(rows, epochs, header, header.max_length, device)


def _width(lengths: NDArray[Any], header: ShardHeader) -> int:
    return min(-(-int(lengths.max()) // ROUND) * ROUND, header.max_length)


def _send(
    rows: Rows, epochs: NDArray[np.int64], header: ShardHeader, width: int, device: torch.device
) -> Batch:
    """Send rows, cut to `width` tokens."""
    packed = _mask_set(rows, epochs, header, width)
    places = _find(rows, packed, width)
    input_ids = _copy(rows.input_ids[:, :width], device).long()
    position = torch.arange(width, device=device)
    is_real = position < _copy(rows.length, device).long()[:, None]
    is_second = (position >= _copy(rows.second_start, device).long()[:, None]) & is_real
    bits = (
        _copy(packed, device)[:, :, None] >> torch.arange(8, dtype=torch.uint8, device=device)
    ) & 1
    tokens = Tokens(
        is_real=is_real,
        places=None if places.tokens.places is None else _move(places.tokens.places, device),
        by_length=_move(places.tokens.by_length, device),
        lengths=places.tokens.lengths,
    )
    return Batch(
        input_ids=input_ids,
        attention_mask=is_real.long(),
        token_type_ids=is_second.long(),
        masked_positions=bits.flatten(1)[:, :width].bool(),
        sentence_order_label=_move(_labels(rows), device),
        places=Places(tokens, *(_move(place, device) for place in places[1:])),
    )


def _mask_set(
    rows: Rows, epochs: NDArray[np.int64], header: ShardHeader, width: int
) -> NDArray[np.uint8]:
    """Return the bits of the mask set that each row's epoch chooses; a stream has none."""
    size = -(-width // 8)
    if not header.mask_sets:
        return np.zeros((len(rows), size), np.uint8)
    return rows.mask_set(epochs % header.mask_sets, header)[:, :size]


def _labels(rows: Rows) -> Tensor:
    label = rows.sentence_order_label.astype(np.int64)
    return torch.from_numpy(np.where(label == NO_LABEL, IGNORED, label))


def _find(rows: Rows, packed: NDArray[np.uint8], width: int) -> Places:
    """Return the places of rows, on the host."""
    is_real = torch.from_numpy(np.arange(width) < rows.length[:, None])
    masked = torch.from_numpy(unpack_masks(packed, width)) & is_real
    return find_places(find_tokens(is_real, is_real), masked, _labels(rows))


def _copy(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array on a device."""
    return _move(torch.from_numpy(np.ascontiguousarray(array)), device)


def _move(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; a copy to a GPU is from pinned memory, and not waited for."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
