"""Beam search: follow the likeliest few beginnings at once.

A text's score is the sum of its tokens' log-probabilities, divided by (tokens added) to the power
of the length penalty. The search is that of `transformers` (`generation/utils.py`, `_beam_search`,
early_stopping=False): it ends when there are as many finished texts as beams and the likeliest
unfinished one, at its present length, scores no better than the worst of them.

Shapes: K beams, T tokens so far, V vocabulary, C candidates: 2K, or (N + 1) K where there are N
end tokens, enough to go on with K even where each beam ends in every way.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor

from train.inference.context import Context
from train.inference.settings import GenerateSettings

NEVER = -1e9
"""Score of what is not to be chosen."""


class Finished(NamedTuple):
    """A text that ended; its tokens (T,), the end token included if there is one."""

    score: float
    tokens: Tensor


def search_beams(
    context: Context,
    prompt: Tensor,
    settings: GenerateSettings,
    ends: Collection[int],
    tick: Callable[[], object] = lambda: None,
) -> Finished:
    """Return the best text found, the prompt included.

    Args:
        context: Of the decoder.
        prompt: (T,).
        settings: Beams, length penalty, and tokens to add at most.
        ends: Tokens that end a text; without any, only the length does.
        tick: Called after each token.
    """
    beams, most = settings.num_beams, settings.new_tokens
    penalty = 1.0 if settings.length_penalty is None else settings.length_penalty
    end_ids = torch.tensor(sorted(ends), dtype=torch.long, device=prompt.device)
    sequences, origin = prompt.repeat(beams, 1), None
    scores = torch.full((beams,), NEVER, device=prompt.device)
    scores[0] = 0.0  # equal beams would find equal texts
    finished: list[Finished] = []
    for added in range(1, most + 1):
        log_probabilities = context.next_logits(sequences, origin).log_softmax(-1)
        count = max(2, 1 + len(ends)) * beams
        best, origins, candidates = _extend(sequences, scores, log_probabilities, count)
        is_over = torch.isin(candidates[:, -1], end_ids) | (added == most)
        finished = _keep_best(finished, best / added**penalty, candidates, is_over, beams)
        scores, chosen = (best + is_over * NEVER).topk(beams)
        sequences, origin = candidates[chosen], origins[chosen]
        tick()
        worst = finished[-1].score if len(finished) == beams else NEVER
        if bool(is_over.all()) or float(scores[0] / added**penalty) <= worst:
            break
    return finished[0]


def _extend(
    sequences: Tensor, scores: Tensor, log_probabilities: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the likeliest texts of one token more.

    Args:
        sequences: Beams (K, T).
        scores: Their log-probabilities (K,).
        log_probabilities: Of each next token (K, V).
        count: Texts to return, C.

    Returns:
        Log-probabilities (C,), the beam that each continues (C,), and tokens (C, T + 1).
    """
    vocabulary = log_probabilities.shape[1]
    best, flat = (log_probabilities + scores[:, None]).flatten().topk(count)
    origins = flat // vocabulary
    candidates = torch.cat([sequences[origins], (flat % vocabulary)[:, None]], 1)
    return best, origins, candidates


def _keep_best(
    finished: list[Finished], scores: Tensor, candidates: Tensor, is_over: Tensor, beams: int
) -> list[Finished]:
    """Return the best finished texts, those of the K likeliest candidates (C, T) that end too."""
    final = scores.tolist()
    ended = [number for number in range(beams) if is_over[number]]
    found = finished + [Finished(final[number], candidates[number]) for number in ended]
    return sorted(found, key=lambda one: -one.score)[:beams]
