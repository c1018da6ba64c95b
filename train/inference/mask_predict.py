"""Mask-predict: a masked language model fills in all masks, then the doubtful ones again.

Ghazvininejad et al. 2019 (https://arxiv.org/abs/1904.09324, section 3.1): in round t of R the
N (R - t) / R tokens with the lowest probabilities are masked and predicted anew, all at once. It is
no likely text in the sense that a causal model's is: nothing is predicted from left to right.

Shapes: T tokens, N masks, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from model.parts import Parts


def fill_masks(
    network: Parts,
    row: Tensor,
    mask_token_id: int,
    forbidden: list[int],
    rounds: int,
    tick: Callable[[], object] = lambda: None,
) -> Tensor:
    """Return a row (T,) with tokens in place of its masks.

    Args:
        network: A masked language model.
        row: (T,), with one mask or more.
        mask_token_id: Of [MASK].
        forbidden: Tokens that are no text, and so never filled in.
        rounds: How often to predict.
        tick: Called after each round.
    """
    row = row.clone()
    places = (row == mask_token_id).nonzero()[:, 0]  # (N,)
    confidence = torch.zeros(len(places), device=row.device)
    for round_ in range(rounds):
        count = len(places) * (rounds - round_) // rounds
        if not count:
            break
        doubtful = confidence.topk(count, largest=False).indices
        row[places[doubtful]] = mask_token_id
        logits = network.token_logits_at(places[doubtful], row[None]).float()
        # The probability is the model's own: only the choice leaves the forbidden ones out.
        allowed = logits.softmax(-1).index_fill(1, torch.tensor(forbidden, device=row.device), -1)
        best = allowed.max(-1)
        row[places[doubtful]] = best.indices
        confidence[doubtful] = best.values
        tick()
    return row
