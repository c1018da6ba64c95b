"""What is done to the tokens that a network shall predict or find.

Random draws come from torch's default generator. Shapes: B rows, T places, M masked tokens.
"""

import torch
from torch import Tensor


def hide_tokens(
    input_ids: Tensor, masked_positions: Tensor, mask_token_id: int, mask_replace_prob: float
) -> Tensor:
    """Return `input_ids` with each masked position, by chance, turned into [MASK] (B, T)."""
    draw = torch.rand(input_ids.shape, device=input_ids.device)
    return input_ids.masked_fill(masked_positions & (draw < mask_replace_prob), mask_token_id)


def scramble_tokens(
    input_ids: Tensor,
    masked_positions: Tensor,
    *,
    mask_token_id: int,
    vocab_size: int,
    mask_replace_prob: float,
    random_replace_prob: float,
    by_span: bool,
) -> Tensor:
    """Return `input_ids` with masked positions hidden, replaced at random, or kept (B, T).

    Args:
        input_ids: Original tokens (B, T).
        masked_positions: (B, T) bool.
        mask_token_id: Id of [MASK].
        vocab_size: Random tokens are any of so many, as in BERT.
        mask_replace_prob: Share that becomes [MASK].
        random_replace_prob: Share that becomes a random token; the rest is kept.
        by_span: One draw for each run of masked positions (SpanBERT) instead of one for each.
    """
    draw = torch.rand(input_ids.shape, device=input_ids.device)
    if by_span:
        draw = draw.gather(1, span_starts(masked_positions).clamp(min=0))
    becomes_random = masked_positions & (draw >= 1 - random_replace_prob)
    becomes_mask = masked_positions & (draw < mask_replace_prob)
    random_ids = torch.randint_like(input_ids, vocab_size)
    return torch.where(becomes_random, random_ids, input_ids).masked_fill(
        becomes_mask, mask_token_id
    )


def replace_tokens(input_ids: Tensor, places: Tensor, tokens: Tensor) -> Tensor:
    """Return `input_ids` (B, T) with `tokens` (M,) at the flat positions `places` (M,)."""
    return input_ids.flatten().index_copy(0, places, tokens).view_as(input_ids)


def span_starts(masked_positions: Tensor) -> Tensor:
    """Return where the last run of masked positions up to each place began (B, T); -1 = none."""
    before = torch.nn.functional.pad(masked_positions[:, :-1], (1, 0))
    index = torch.arange(masked_positions.shape[1], device=masked_positions.device)
    return torch.where(masked_positions & ~before, index, -1).cummax(1).values
