"""What one forward pass of a model in training measured."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from model.objectives import Score


class Output(NamedTuple):
    """Losses and accuracies by the objective's name.

    Objectives: "masked_language_model" (masked tokens), "causal_language_model" (tokens that have
    one after them), "span_boundary" (masked tokens), "replaced_token" (all real tokens),
    "sentence_order" (rows with a label) and, of ELECTRA's generator, "generator_sentence_order".

    Attributes:
        scores: Sums and counts.
        read_ids: What the last network read (B, T).
    """

    scores: dict[str, Score]
    read_ids: Tensor

    @property
    def losses(self) -> dict[str, Tensor]:
        """Return the sums of losses in nats; they carry the gradient."""
        return {name: score.loss for name, score in self.scores.items()}

    @property
    def counts(self) -> dict[str, Tensor]:
        """Return how many losses each sum holds."""
        return {name: score.targets for name, score in self.scores.items()}

    @property
    def correct(self) -> dict[str, Tensor]:
        """Return how many of them the likeliest answer got right."""
        return {name: score.correct for name, score in self.scores.items()}

    def means(self) -> dict[str, Tensor]:
        """Return `NAME_loss`, the mean loss, and `NAME_accuracy` of each objective, detached."""
        means: dict[str, Tensor] = {}
        for name, score in self.scores.items():
            count = score.targets.clamp(min=1)
            means[f"{name}_loss"] = score.loss.detach() / count
            means[f"{name}_accuracy"] = score.correct / count
        return means


def total_loss(
    output: Output, weights: Mapping[str, float], counts: Mapping[str, Tensor] | None = None
) -> Tensor:
    """Return the weighed sum of mean losses; an objective that counted nothing adds 0.

    Args:
        output: What was measured.
        weights: What each mean is multiplied with, by the objective's name.
        counts: What to divide by instead of the output's own counts: those of the whole step,
            where a step is the sum of several micro-batches.
    """
    divisors = output.counts if counts is None else counts
    means = [
        weights[name] * loss / divisors[name].clamp(min=1) for name, loss in output.losses.items()
    ]
    total = means[0]
    for mean in means[1:]:
        total = total + mean
    return total
