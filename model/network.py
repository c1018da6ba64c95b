"""A backbone and the objectives that stand on it.

Shapes: B rows, T places, M wanted places, H hidden width, V vocabulary, E embedding width.
"""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from model.objectives import Objective, Score
from model.padding import Tokens
from model.rows import Rows


class Backbone(Protocol):
    """Token ids to hidden states: `model.transformer.Transformer`, or `model.backbones.Tapped`."""

    @property
    def word_embeddings(self) -> Tensor | None:
        """Return the table (V, E) that tokens are predicted with, if there is one."""
        ...

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        wanted: Tensor,
        tokens: Tokens,
        **named: Any,  # noqa: ANN401
    ) -> Tensor:
        """Return the hidden states (M, H) at the places `wanted` (M,) of the flattened batch.

        `tokens` says in other words what the attention mask does.
        """
        ...


class Network(nn.Module):
    """One network that learns one or several objectives.

    Args:
        backbone: An `nn.Module` that is a `Backbone`.
        objectives: By name; each an `nn.Module` that is an `Objective`.
    """

    def __init__(self, backbone: nn.Module, objectives: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.backbone = backbone
        self.objectives = nn.ModuleDict(dict(objectives))

    def forward(self, rows: Rows, **named: Any) -> dict[str, Score]:  # noqa: ANN401
        """Return the score of each objective; the backbone computes no more than they ask for.

        Args:
            rows: The batch.
            **named: Passed to the backbone.
        """
        objectives = self._objectives()
        places = {name: objective.places(rows) for name, objective in objectives.items()}
        backbone = cast(Backbone, self.backbone)
        states = backbone(
            rows.input_ids,
            rows.attention_mask,
            rows.token_type_ids,
            wanted=torch.cat(list(places.values())),
            tokens=rows.places.tokens,
            **named,
        )
        parts = torch.split(states, [len(one) for one in places.values()])
        table = backbone.word_embeddings
        return {
            name: objectives[name].score(part, places[name], rows, table)
            for name, part in zip(places, parts, strict=True)
        }

    def count(self, rows: Rows) -> dict[str, Tensor]:
        """Return how many losses each objective has in a batch, without computing them."""
        return {name: objective.count(rows) for name, objective in self._objectives().items()}

    def _objectives(self) -> dict[str, Objective]:
        return {name: cast(Objective, module) for name, module in self.objectives.items()}
