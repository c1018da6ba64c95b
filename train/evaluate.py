"""How a model does on held-out rows, each number beside the one that knowing nothing would give.

The numbers are `NAME_loss`, the mean in nats, and `NAME_accuracy` of each objective, and where it
has a meaning:

- `masked_language_model_perplexity`, exp(loss) of the masked tokens, each predicted from the
  others. It is no likelihood of the text; compare it with the same masking alone.
- `hidden_token_loss`: the same loss with [MASK] at every masked position (in training, and thus in
  `masked_language_model_loss`, some show a token).
- `causal_language_model_perplexity`, exp(loss) per token, which depends on the vocabulary; and
  `word_perplexity`, which does not: exp of the summed loss of all predicted tokens, ends of
  documents included, by the number of words in them. A word is what stands between white space in
  the decoded tokens of a row, all but its first, which is not predicted.
- `replaced_share` of real tokens, `replaced_token_entropy` (the loss of always answering with that
  share), `replaced_token_auc` (.5 = chance).
- `sentence_order_rows`, and `sentence_order_sigma`, the standard error of the accuracy of a coin
  over so many rows.

Shapes: B rows, T tokens.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from model.corruption import hide_tokens
from model.electra import Electra
from model.language_model import LanguageModel
from model.objectives import Score
from model.output import Output
from model.rows import to_rows
from pipeline.encode import load_tokenizer
from shards.reader import ShardFolder
from train.batch import Batch, to_batches
from train.guessing import MAX_ROWS, spread
from train.out_of_memory import free_memory, is_out_of_memory, memory_for
from train.precision import Precision, autocast

Say = Callable[[str], None]
MOST_AT_ONCE = 32
"""Rows in a forward pass."""
SEED = 0
"""Evaluations draw the same replacements each time, so that they can be compared."""
MASKED, CAUSAL, REPLACED = "masked_language_model", "causal_language_model", "replaced_token"


def evaluate(
    model: Electra | LanguageModel,
    validation: ShardFolder,
    micro_batch: int | None,
    device: torch.device,
    precision: Precision,
    say: Say = lambda line: None,
) -> dict[str, float]:
    """Score `model` on up to MAX_ROWS rows of `validation`, mask set 0, dropout off.

    Args:
        model: On `device`.
        validation: Held-out rows, at least one.
        micro_batch: Rows in a forward pass at most; never more than MOST_AT_ONCE. Another number
            gives other draws of replacements.
        device: Where the model is.
        precision: Of the forward pass.
        say: Called where memory asks for fewer rows at once.

    Returns:
        The numbers that this module's docstring names.

    Raises:
        DataError: One row needs more memory than there is.
    """
    evenly = spread(len(validation), MAX_ROWS)
    size = min(micro_batch or MOST_AT_ONCE, MOST_AT_ONCE, len(evenly))
    while size > 1:
        try:
            return _score(model, validation, evenly, size, device, precision)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Here the error is gone, and with it what its frames held.
        free_memory(device)
        say(f"out of memory in evaluating {size} rows at once: going on with half as many")
        size = math.ceil(size / 2)
    with memory_for("the evaluation of one row"):
        return _score(model, validation, evenly, size, device, precision)


def _score(
    model: Electra | LanguageModel,
    validation: ShardFolder,
    index: NDArray[np.int64],
    size: int,
    device: torch.device,
    precision: Precision,
) -> dict[str, float]:
    """Score `model` on some rows, `size` at once."""
    sums = _Sums()
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(), torch.inference_mode(), autocast(precision, device):
            torch.manual_seed(SEED)
            for part in np.split(index, range(size, len(index), size)):
                rows = validation.gather(part)
                zero = np.zeros(len(part), np.int64)
                for batch in to_batches(rows, zero, validation.header, size, device):
                    output = model(**vars(batch))
                    sums.add(output, batch)
                    if MASKED in output.losses:
                        sums.losses["hidden_token"] += float(_hidden_token_loss(model, batch))
    finally:
        model.train(was_training)
    scores = sums.scores()
    if CAUSAL in sums.losses:
        words = _words_in_rows(validation, index)
        scores["word_perplexity"] = perplexity(sums.losses[CAUSAL] / max(1, words))
    return scores


class _Sums:
    """What batches add up to."""

    def __init__(self) -> None:
        self.losses: defaultdict[str, float] = defaultdict(float)
        self.counts: Counter[str] = Counter()
        self.correct: Counter[str] = Counter()
        self.verdicts: list[NDArray[Any]] = []
        self.labels: list[NDArray[np.bool_]] = []

    def add(self, output: Output, batch: Batch) -> None:
        for name in output.losses:
            self.losses[name] += float(output.losses[name])
            self.counts[name] += int(output.counts[name])
            self.correct[name] += int(output.correct[name])
        if REPLACED in output.scores:
            self.verdicts.append(output.scores[REPLACED].answer.float().cpu().numpy())
            is_replaced = output.read_ids != batch.input_ids
            self.labels.append(is_replaced[batch.attention_mask.bool()].cpu().numpy())

    def scores(self) -> dict[str, float]:
        self.counts["hidden_token"] = self.counts[MASKED]
        means = {name: loss / max(1, self.counts[name]) for name, loss in self.losses.items()}
        scores = {f"{name}_loss": mean for name, mean in means.items()}
        for name, correct in self.correct.items():
            scores[f"{name}_accuracy"] = correct / max(1, self.counts[name])
        for name in (MASKED, CAUSAL):
            if name in means:
                scores[f"{name}_perplexity"] = perplexity(means[name])
        if REPLACED in means:
            scores |= self._replaced()
        if "sentence_order" in means:
            rows = self.counts["sentence_order"]
            scores["sentence_order_rows"] = rows
            scores["sentence_order_sigma"] = 0.5 / math.sqrt(max(1, rows))
        return scores

    def _replaced(self) -> dict[str, float]:
        replaced = np.concatenate(self.labels)
        share = float(replaced.mean())
        return {
            "replaced_share": share,
            "replaced_token_entropy": _entropy(share),
            "replaced_token_auc": area_under_curve(np.concatenate(self.verdicts), replaced),
        }


def perplexity(loss: float) -> float:
    """Return exp(loss), or infinity where no number holds it."""
    return math.exp(loss) if loss < 700 else math.inf


def _hidden_token_loss(model: Electra | LanguageModel, batch: Batch) -> Tensor:
    """Return the summed loss over masked tokens when every masked position shows [MASK]."""
    rows = to_rows(**vars(batch))
    network: nn.Module = model.generator if isinstance(model, Electra) else model.network
    config = model.objective if isinstance(model, Electra) else model.config
    mask = cast(int, config.mask_token_id)  # only a decoder has none
    hidden_ids = hide_tokens(batch.input_ids, batch.masked_positions, mask, 1.0)
    scores: dict[str, Score] = network(rows._replace(input_ids=hidden_ids))
    return scores[MASKED].loss


def _words_in_rows(validation: ShardFolder, index: NDArray[np.int64]) -> int:
    """Return the words of some rows, their first tokens left out."""
    tokenizer = load_tokenizer(
        validation.folder / "tokenizer" / "tokenizer.json", "pack the shards again"
    )
    rows = validation.gather(index)
    kept = [ids[1:length].tolist() for ids, length in zip(rows.input_ids, rows.length, strict=True)]
    return count_words(tokenizer, kept)


def count_words(tokenizer: Tokenizer, rows: list[list[int]]) -> int:
    """Return the words of rows of tokens: what stands between white space when decoded."""
    return sum(len(text.split()) for text in tokenizer.decode_batch(rows))


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
