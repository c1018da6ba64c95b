"""What is known of a step before the device is waited for, and after."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from shards.order import Order
from train.crew import SharedError
from train.metrics import Line
from train.stages import Position

NAMED_ROWS = 8
"""Of a batch, in an error."""


class Pending(NamedTuple):
    """A step whose numbers are still on the device.

    Attributes:
        line: What the host knows of it: its number, rate, and so on.
        numbers: What the device knows.
        order: The order that its rows are taken in.
        position: Where they are there.
        waited: Seconds in which its data were waited for.
        flops: What it computed; None of networks of the user's own.
    """

    line: Line
    numbers: dict[str, Tensor]
    order: Order
    position: Position
    waited: float
    flops: int | None


def read(pending: Sequence[Pending]) -> Iterator[tuple[Pending, dict[str, float]]]:
    """Wait for the device, once, and return the numbers of each step, of which there is one.

    They are of single precision, and as short as still tells that: 0.1, not 0.10000000149011612.
    """
    names = list(pending[0].numbers)
    values = torch.stack([one.numbers[name].float() for one in pending for name in names])
    table = values.view(len(pending), len(names)).cpu().numpy()  # here the device is waited for
    return (
        (one, dict(zip(names, map(_short, row), strict=True)))
        for one, row in zip(pending, table, strict=True)
    )


def _short(value: np.float32) -> float:
    """Return the number of the fewest digits that is the same in single precision."""
    return float(str(value))


def unsound(problem: str, step: int, order: Order, position: Position) -> SharedError:
    """Return the error of a step whose numbers are not finite; nothing was changed since then."""
    rows, _ = order.take(position.cursor, min(NAMED_ROWS, position.batch_size))
    more = "..." if position.batch_size > NAMED_ROWS else ""
    where = f"of step {step}, on rows {rows.tolist()}{more} of the training split"
    remedy = "it was not applied; start another run with a lower --learning-rate"
    return SharedError(f"{problem} {where}", remedy)
