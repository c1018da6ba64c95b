"""Which places of a batch each objective asks about, known before anything is computed.

How many they are decides the shapes of all that follows. Found on a device, each number is a wait
for it; so a trainer finds them on the host and sends them with the batch.

Shapes: B rows, T places of a row; flat = counted through the flattened batch, B T in all.
"""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from model.padding import Tokens
from model.spans import is_told

IGNORED = -100  # a label without a loss, as in torch and Hugging Face


class Places(NamedTuple):
    """Where what lies in a batch; tensors of flat places, in order, int64, on the batch's device.

    Attributes:
        tokens: Where its real tokens lie.
        masked: Tokens to be predicted (M,).
        told: Those of them that the tokens around their span can tell (S,); see `model.spans`.
        followed: Tokens that have a token right after them (F,).
        ordered: The first token of each row that has one and a sentence-order label (R,).
    """

    tokens: Tokens
    masked: Tensor
    told: Tensor
    followed: Tensor
    ordered: Tensor


def find_places(tokens: Tokens, masked_positions: Tensor, sentence_order_label: Tensor) -> Places:
    """Return the places of a batch, on the device that it is on.

    Args:
        tokens: Where its real tokens lie.
        masked_positions: Tokens to be predicted (B, T) bool; none of them padding.
        sentence_order_label: 0 = original order, 1 = swapped, -100 = no label (B,).
    """
    is_real = tokens.is_real
    row = _where((sentence_order_label != IGNORED) & is_real.any(1))
    first = is_real.long().argmax(1)
    return Places(
        tokens=tokens,
        masked=_where(masked_positions),
        told=_where(is_told(masked_positions, is_real)),
        followed=_where(F.pad(is_real[:, 1:], (0, 1)) & is_real),
        ordered=row * is_real.shape[1] + first[row],
    )


def _where(is_asked: Tensor) -> Tensor:
    return is_asked.flatten().nonzero().squeeze(1)
