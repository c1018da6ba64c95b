"""One token after another: the likeliest, or drawn.

Definitions are those of `transformers` (`generation/logits_process.py`), and so is their order:
temperature, then top-k, then top-p.

Shapes: T tokens, V vocabulary.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from train.inference.context import Context
from train.inference.settings import GenerateSettings


def continue_text(
    context: Context,
    prompt: Tensor,
    settings: GenerateSettings,
    ends: Collection[int],
    tick: Callable[[], object] = lambda: None,
) -> Tensor:
    """Return the prompt and what follows it, the end token included.

    Args:
        context: Of the decoder.
        prompt: (T,).
        settings: Greedy, or how to draw.
        ends: After one of these tokens nothing follows.
        tick: Called after each token.
    """
    generator = torch.Generator(prompt.device).manual_seed(settings.seed or 0)
    sequence = prompt
    for _ in range(settings.new_tokens):
        logits = context.next_logits(sequence[None])[0]
        if settings.draws:
            chosen = torch.multinomial(
                limit_logits(logits, settings).softmax(-1), 1, generator=generator
            )
        else:
            chosen = logits.argmax()[None]
        sequence = torch.cat([sequence, chosen])
        tick()
        if int(chosen) in ends:
            break
    return sequence


def limit_logits(logits: Tensor, settings: GenerateSettings) -> Tensor:
    """Return logits (V,) to draw from; -inf where a token is out of question.

    Top-k keeps all tokens that are as likely as the k-th. Top-p keeps the fewest tokens, likeliest
    first, whose probabilities add up to p or more, at least one
    (https://arxiv.org/abs/1904.09751, section 3.1).
    """
    if settings.temperature is not None:
        logits = logits / settings.temperature
    if settings.top_k is not None:
        least = logits.topk(min(settings.top_k, len(logits))).values[-1]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if settings.top_p is not None and settings.top_p < 1:
        ascending, order = logits.sort()
        is_rare = ascending.softmax(-1).cumsum(-1) <= 1 - settings.top_p
        is_rare[-1] = False
        logits = logits.masked_fill(is_rare.scatter(0, order, is_rare), -torch.inf)
    return logits
