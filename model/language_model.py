"""One network in training: ALBERT, BERT, SpanBERT or, as a decoder, GPT-2.

Shapes: B rows, T places.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from model.config import LanguageModelConfig, ModelConfig
from model.corruption import scramble_tokens
from model.network import Network
from model.objectives import CausalLanguageModel, MaskedLanguageModel, SentenceOrder
from model.output import Output, total_loss
from model.places import Places
from model.rows import Rows, to_rows
from model.span_boundary import SpanBoundary
from model.transformer import Transformer

OBJECTIVES: dict[str, type[nn.Module]] = {
    "masked_language_model": MaskedLanguageModel,
    "sentence_order": SentenceOrder,
    "span_boundary": SpanBoundary,
}


class LanguageModel(nn.Module):
    """A transformer and what it learns.

    Random draws (what is hidden, dropout) come from torch's default generator.
    """

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        self.weights = objective_weights(config)
        self.network = Network(
            Transformer(config.model),
            {name: make_objective(name, config.model) for name in self.weights},
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        masked_positions: Tensor | None = None,
        sentence_order_label: Tensor | None = None,
        places: Places | None = None,
        **named: Any,  # noqa: ANN401
    ) -> Output:
        """Corrupt the batch, unless the model is a decoder, and score what it makes of it.

        Args:
            input_ids: Original tokens (B, T), int64.
            attention_mask: 1 = a token, 0 = padding (B, T); None = no padding.
            token_type_ids: 0 = first segment, 1 = second (B, T); None = all first.
            masked_positions: Tokens to be predicted (B, T), bool; never specials or padding; None
                = none.
            sentence_order_label: 0 = original order, 1 = swapped, -100 = no label (B,); None = no
                labels.
            places: Where all this lies (`model.places.find_places`), found on the host so that no
                device is waited for; None = find it here.
            **named: Passed to the transformer.
        """
        rows = to_rows(
            input_ids,
            attention_mask,
            token_type_ids,
            masked_positions,
            sentence_order_label,
            places,
        )
        rows = rows._replace(input_ids=self._corrupt(rows))
        return Output(self.network(rows, **named), rows.input_ids)

    def _corrupt(self, rows: Rows) -> Tensor:
        config = self.config
        if config.model.is_decoder or config.mask_token_id is None:
            return rows.input_ids
        return scramble_tokens(
            rows.input_ids,
            rows.masked_positions,
            mask_token_id=config.mask_token_id,
            vocab_size=config.model.vocab_size,
            mask_replace_prob=config.mask_replace_prob,
            random_replace_prob=config.random_replace_prob,
            by_span="span_boundary" in self.weights,
        )

    def count(self, **batch: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """Return how many losses each objective has in a batch, without computing them."""
        return self.network.count(to_rows(**batch))

    def loss(self, output: Output, counts: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return the weighed sum of mean losses; see `total_loss`."""
        return total_loss(output, self.weights, counts)


def objective_weights(config: LanguageModelConfig) -> dict[str, float]:
    """Return the objectives that are learned, each with its weight."""
    if config.model.is_decoder:
        return {"causal_language_model": 1.0}
    weights = {name: float(getattr(config, f"{name}_weight")) for name in OBJECTIVES}
    return {name: weight for name, weight in weights.items() if weight}


def make_objective(name: str, config: ModelConfig) -> nn.Module:
    """Return the objective of that name, its head drawn anew."""
    if name == "causal_language_model":
        return CausalLanguageModel(config)
    return OBJECTIVES[name](config)
