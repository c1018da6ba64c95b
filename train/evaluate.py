"""How a model does on held-out rows, each number beside the one that knowing nothing would give.

Shapes: B rows, T tokens.
"""

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.corruption import hide_tokens
from model.electra import Electra
from model.objectives import Score
from model.rows import to_rows
from shards.format import ShardHeader, unpack_masks
from shards.reader import ShardFolder
from train.batch import Batch, to_batch

MAX_ROWS = 1024
"""Held-out rows scored: enough to tell .02 of accuracy apart, few enough to take seconds."""
BASELINE_ROWS = 100_000
"""Training rows that the unigram baseline is counted on."""
SEED = 0
"""Evaluations draw the same replacements each time, so that they can be compared."""


def evaluate(
    model: Electra, validation: ShardFolder, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Score `model` on up to MAX_ROWS rows of `validation`, mask set 0, dropout off.

    Returns:
        Mean losses in nats and accuracies by objective, and: `hidden_token_loss`, the generator's
        loss with [MASK] at every masked position (in training, and thus in
        `masked_language_model_loss`, some show their own token); `replaced_share` of real tokens,
        `replaced_token_entropy` (the loss of always answering with that share),
        `replaced_token_auc` (.5 = chance), `sentence_order_rows`, and `sentence_order_sigma`, the
        standard error of the accuracy of a coin over so many rows.
    """
    losses: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    correct: Counter[str] = Counter()
    verdicts, labels = [], []
    model.eval()
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(SEED)
        evenly = spread(len(validation), MAX_ROWS)
        for first in range(0, len(evenly), batch_size):
            index = evenly[first : first + batch_size]
            held_out = validation.gather(index)
            batch = to_batch(held_out, np.zeros(len(index), np.int64), validation.header, device)
            output = model(**vars(batch))
            for name in output.losses:
                losses[name] += float(output.losses[name])
                counts[name] += int(output.counts[name])
                correct[name] += int(output.correct[name])
            losses["hidden_token"] += float(_hidden_token_loss(model, batch))
            verdicts.append(output.scores["replaced_token"].answer.cpu().numpy())
            is_replaced = output.read_ids != batch.input_ids
            labels.append(is_replaced[batch.attention_mask.bool()].cpu().numpy())
    model.train()
    counts["hidden_token"] = counts["masked_language_model"]
    replaced = np.concatenate(labels)
    share = float(replaced.mean())
    return {
        **{f"{name}_loss": losses[name] / max(1, counts[name]) for name in losses},
        **{f"{name}_accuracy": correct[name] / max(1, counts[name]) for name in correct},
        "replaced_share": share,
        "replaced_token_entropy": _entropy(share),
        "replaced_token_auc": area_under_curve(np.concatenate(verdicts), replaced),
        "sentence_order_rows": counts["sentence_order"],
        "sentence_order_sigma": 0.5 / math.sqrt(max(1, counts["sentence_order"])),
    }


def _hidden_token_loss(model: Electra, batch: Batch) -> Tensor:
    """Return the summed loss of the generator when every masked position shows [MASK]."""
    rows = to_rows(**vars(batch))
    hidden_ids = hide_tokens(
        batch.input_ids, batch.masked_positions, model.objective.mask_token_id, 1.0
    )
    scores: dict[str, Score] = model.generator(rows._replace(input_ids=hidden_ids))
    return scores["masked_language_model"].loss


def spread(rows: int, most: int) -> NDArray[np.int64]:
    """Return up to `most` row numbers spread evenly over all, and so over all sources."""
    return np.linspace(0, rows - 1, min(rows, most)).astype(np.int64)


def _entropy(share: float) -> float:
    """Return the entropy in nats of a coin that lands on one side with probability `share`."""
    if share in (0.0, 1.0):
        return 0.0
    return -share * math.log(share) - (1 - share) * math.log(1 - share)


def area_under_curve(scores: NDArray[Any], is_positive: NDArray[np.bool_]) -> float:
    """Return the probability that a positive scores above a negative, a tie counting half."""
    _, where, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(ties) - (ties - 1) / 2
    positives = int(is_positive.sum())
    negatives = len(scores) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    above = ranks[where][is_positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def unigram_loss(train: ShardFolder, validation: ShardFolder) -> float:
    """Return the loss in nats of guessing masked tokens by their frequency in the training rows.

    Frequencies are counted with one added to each; tokens are those of mask set 0 of the rows that
    `evaluate` scores.
    """
    header = train.header
    counts = np.ones(header.vocab_size)
    for index in np.array_split(spread(len(train), BASELINE_ROWS), 32):
        rows = train.gather(index)
        counts += np.bincount(_content(rows.input_ids, header), minlength=header.vocab_size)
    rows = validation.gather(spread(len(validation), MAX_ROWS))
    first_set = rows.mask_set(np.zeros(len(rows), np.int64), header)
    targets = rows.input_ids[unpack_masks(first_set, header.max_length)]
    return float(-np.log(counts[targets] / counts.sum()).mean())


def _content(input_ids: NDArray[Any], header: ShardHeader) -> NDArray[Any]:
    structural = [header.pad_token_id, header.cls_token_id, header.sep_token_id]
    flat = input_ids.reshape(-1)
    return flat[~np.isin(flat, structural)]
