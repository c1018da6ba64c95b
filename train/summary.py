"""What a person wants to know at the end of a run: did it learn, by how much, what is unsure."""

import math
from collections.abc import Mapping

GOOD_AUC = 0.6
"""Below it the discriminator has hardly begun to tell replaced tokens from original ones."""


def summary(found: Mapping[str, float | None], baseline: float, max_length: int) -> list[str]:
    """Return the last scores in words.

    Args:
        found: What `train.evaluate.evaluate` returned last; None: no finite number.
        baseline: The loss of guessing the predicted tokens by frequency, in nats.
        max_length: Tokens of the rows that were scored.
    """
    scores = {name: math.nan if value is None else value for name, value in found.items()}
    guessing = f"guessing tokens by frequency has a loss of {baseline:.3f}"
    lines = [f"on held-out rows of {max_length} tokens, where {guessing}:"]
    if "causal_language_model_loss" in scores:
        return [*lines, *_next_token(scores, baseline)]
    is_pair = "replaced_token_loss" in scores
    if "masked_language_model_loss" in scores:
        lines += _masked(scores, baseline, "generator" if is_pair else "masked tokens")
    if is_pair:
        lines.append(
            f"  discriminator   loss {scores['replaced_token_loss']:.4f}, always answering the "
            f"base rate {scores['replaced_token_entropy']:.4f}; AUC "
            f"{scores['replaced_token_auc']:.3f}, chance .5"
        )
    # A model that does not learn the order of sentences has no accuracy in it.
    rows = int(scores.get("sentence_order_rows", 0))
    accuracy = scores["sentence_order_accuracy"] if rows else math.nan
    sigma = scores["sentence_order_sigma"] if rows else math.nan
    lines.append(
        f"  sentence order  accuracy {accuracy:.3f}, chance .5, sigma {sigma:.3f} ({rows:,} rows)"
        if rows
        else "  sentence order  not learned, or no held-out row has two segments"
    )
    if is_pair:
        lines += _patience(scores["replaced_token_auc"], accuracy, sigma)
    return lines


def _patience(auc: float, accuracy: float, sigma: float) -> list[str]:
    """Return what a pair has not learnt yet, if anything."""
    late = ["the discriminator"] if auc < GOOD_AUC else []
    late += ["sentence order"] if accuracy < 0.5 + 3 * sigma else []
    needs = "needs" if len(late) == 1 else "need"
    line = f"{' and '.join(late)} {needs} hours of training, not minutes."
    return [line[0].upper() + line[1:]] if late else []


def _masked(scores: Mapping[str, float], baseline: float, who: str) -> list[str]:
    shown, hidden = scores["masked_language_model_loss"], scores["hidden_token_loss"]
    return [
        f"  {who:15} {_beside(shown, baseline)}, as it is trained: some masked tokens show",
        f"  {'':15} {_beside(hidden, baseline)}, with [MASK] at every one",
    ]


def _next_token(scores: Mapping[str, float], baseline: float) -> list[str]:
    return [
        f"  next token      {_beside(scores['causal_language_model_loss'], baseline)}",
        f"  perplexity      {scores['causal_language_model_perplexity']:.2f} per token, "
        f"{scores['word_perplexity']:.2f} per word",
    ]


def _beside(loss: float, baseline: float) -> str:
    relation = "under" if loss < baseline else "OVER"
    return f"loss {loss:.3f}, {abs(baseline - loss):.3f} {relation} guessing"
