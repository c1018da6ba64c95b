"""What is known of a step before the device is waited for."""

from typing import NamedTuple

from torch import Tensor

from shards.order import Order
from train.metrics import Line


class Pending(NamedTuple):
    """A step whose numbers are still on the device.

    Attributes:
        line: What the host knows of it: its number, rate, and so on.
        numbers: What the device knows.
        order: The order that its rows are taken in.
        cursor: Where they begin there.
        waited: Seconds in which its data were waited for.
        flops: What it computed; None of networks of the user's own.
    """

    line: Line
    numbers: dict[str, Tensor]
    order: Order
    cursor: int
    waited: float
    flops: int | None
