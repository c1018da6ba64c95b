"""ELECTRA (https://arxiv.org/abs/2003.10555) with ALBERT's sentence-order prediction.

A small generator fills masked positions with tokens sampled from what it predicts; the
discriminator says of every token whether it was replaced. All embeddings and the LayerNorm over
them are one module of both; nothing else is shared (google-research/electra, `run_pretraining.py`
and `pretrain/pretrain_helpers.py`).

Shapes: B rows, T tokens, M masked tokens of all rows, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ElectraConfig
from model.encoder import Encoder
from model.heads import MaskedLanguageModelHead, ReplacedTokenHead, SentenceOrderHead

IGNORED = -100  # a label without a loss, as in torch and Hugging Face


@dataclass(frozen=True, kw_only=True)
class Score:
    """One objective over one batch.

    Args:
        loss: Sum of losses in nats, float32 scalar that carries the gradient.
        count: How many losses were summed, int64 scalar.
        correct: How many of them the likeliest answer got right, int64 scalar.
    """

    loss: Tensor
    count: Tensor
    correct: Tensor


@dataclass(frozen=True, kw_only=True)
class ElectraOutput:
    """What one forward pass measured; see `Score` for the three dictionaries by objective.

    Objectives: "masked_language_model" (masked tokens), "replaced_token" (all real tokens),
    "sentence_order" (rows with a label) and, where the generator learns it too,
    "generator_sentence_order".

    Args:
        losses: Sums of losses.
        counts: How many losses each sum holds.
        correct: Right answers among them.
        corrupted_ids: What the discriminator read (B, T).
        is_replaced: Where that differs from the input, so a right guess does not (B, T), bool.
        replaced_logits: The verdict (B, T), float32, detached; above 0 = replaced.
    """

    losses: dict[str, Tensor]
    counts: dict[str, Tensor]
    correct: dict[str, Tensor]
    corrupted_ids: Tensor
    is_replaced: Tensor
    replaced_logits: Tensor


class Electra(nn.Module):
    """Generator, discriminator and their heads, trained together.

    Random draws (what is hidden, what is sampled, dropout) come from torch's default generator.
    """

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Encoder(config.generator)
        self.discriminator = Encoder(config.discriminator, self.generator.embeddings)
        self.masked_language_model_head = MaskedLanguageModelHead(config.generator)
        self.replaced_token_head = ReplacedTokenHead(config.discriminator)
        self.sentence_order_head = SentenceOrderHead(config.discriminator)
        self.generator_sentence_order_head = (
            SentenceOrderHead(config.generator) if config.sentence_order == "both" else None
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        masked_positions: Tensor,
        sentence_order_label: Tensor,
    ) -> ElectraOutput:
        """Corrupt the batch with the generator and judge it with the discriminator.

        Sentence order is predicted from what each network reads: the discriminator sees the
        sampled tokens, the generator the [MASK] tokens, never the original row.

        Args:
            input_ids: Original tokens (B, T), int64.
            attention_mask: 1 = a token, 0 = padding (B, T).
            token_type_ids: 0 = first segment, 1 = second (B, T).
            masked_positions: Tokens to be predicted (B, T), bool; never specials or padding.
            sentence_order_label: 0 = original order, 1 = swapped, -100 = no label (B,).
        """
        masked = masked_positions.flatten().nonzero().squeeze(1)  # (M,)
        hidden_ids = hide_tokens(
            input_ids, masked_positions, self.config.mask_token_id, self.config.mask_replace_prob
        )
        generator_states = self.generator(hidden_ids, attention_mask, token_type_ids)
        predictions = self.predict_tokens(generator_states, masked)
        corrupted_ids = replace_tokens(input_ids, masked, sample_tokens(predictions))
        is_replaced = corrupted_ids != input_ids

        states = self.discriminator(corrupted_ids, attention_mask, token_type_ids)
        replaced_logits = self.replaced_token_head(states).float()
        scores = {
            "masked_language_model": _score_classes(predictions, input_ids.flatten()[masked]),
            "replaced_token": _score_verdicts(replaced_logits, is_replaced, attention_mask.bool()),
            "sentence_order": _score_classes(
                self.sentence_order_head(states).float(), sentence_order_label
            ),
        }
        if self.generator_sentence_order_head is not None:
            scores["generator_sentence_order"] = _score_classes(
                self.generator_sentence_order_head(generator_states).float(), sentence_order_label
            )
        return ElectraOutput(
            losses={name: score.loss for name, score in scores.items()},
            counts={name: score.count for name, score in scores.items()},
            correct={name: score.correct for name, score in scores.items()},
            corrupted_ids=corrupted_ids,
            is_replaced=is_replaced,
            replaced_logits=replaced_logits.detach(),
        )

    def predict_tokens(self, generator_states: Tensor, masked: Tensor) -> Tensor:
        """Return the generator's logits (M, V), float32, at the flat positions `masked` (M,)."""
        states = generator_states.flatten(0, 1)[masked]
        weight = self.generator.embeddings.word_embeddings.weight
        logits: Tensor = self.masked_language_model_head(states, weight)
        return logits.float()

    def loss(self, output: ElectraOutput, counts: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return the weighed sum of mean losses; an objective that counted nothing adds 0.

        Args:
            output: What `forward` returned.
            counts: What to divide by instead of the output's own counts: those of the whole step,
                where a step is the sum of several micro-batches.
        """
        weights = {
            "masked_language_model": self.config.generator_weight,
            "replaced_token": self.config.discriminator_weight,
            "sentence_order": self.config.sentence_order_weight,
            "generator_sentence_order": self.config.sentence_order_weight,
        }
        divisors = output.counts if counts is None else counts
        means = [
            weights[name] * loss / divisors[name].clamp(min=1)
            for name, loss in output.losses.items()
        ]
        return torch.stack(means).sum()


def hide_tokens(
    input_ids: Tensor, masked_positions: Tensor, mask_token_id: int, mask_replace_prob: float
) -> Tensor:
    """Return `input_ids` with each masked position, by chance, turned into [MASK] (B, T)."""
    draw = torch.rand(input_ids.shape, device=input_ids.device)
    return input_ids.masked_fill(masked_positions & (draw < mask_replace_prob), mask_token_id)


def sample_tokens(logits: Tensor) -> Tensor:
    """Draw one token per row of `logits` (M, V) from their softmax; no gradient flows back.

    Adding Gumbel noise and taking the largest is a draw from the softmax; the noise is float32
    because half precision rounds its tail away and draws likely tokens far too often.
    """
    exponential = torch.empty_like(logits, dtype=torch.float32).exponential_()
    return (logits.detach().float() - exponential.log_()).argmax(-1)  # -log(Exp(1)) is Gumbel(0, 1)


def replace_tokens(input_ids: Tensor, places: Tensor, tokens: Tensor) -> Tensor:
    """Return `input_ids` (B, T) with `tokens` (M,) at the flat positions `places` (M,)."""
    return input_ids.flatten().index_copy(0, places, tokens).view_as(input_ids)


def _score_classes(logits: Tensor, labels: Tensor) -> Score:
    """Score logits (N, C) against class labels (N,), -100 = ignored."""
    return Score(
        loss=F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"),
        count=(labels != IGNORED).sum(),
        correct=(logits.argmax(-1) == labels).sum(),
    )


def _score_verdicts(logits: Tensor, is_replaced: Tensor, is_real: Tensor) -> Score:
    """Score verdicts (B, T) over real tokens only."""
    losses = F.binary_cross_entropy_with_logits(logits, is_replaced.float(), reduction="none")
    return Score(
        loss=losses.masked_fill(~is_real, 0.0).sum(),
        count=is_real.sum(),
        correct=(((logits > 0) == is_replaced) & is_real).sum(),
    )
