"""Which tokens a network holds likely at some places, whatever it is made of.

Shapes: B rows, T places of a row, M places asked about, V vocabulary.
"""

from typing import Any, cast

from torch import Tensor, nn

from model.backbones import LogitsGenerator, read_logits
from model.electra import Electra
from model.heads import vocabulary_logits
from model.language_model import LanguageModel
from model.network import Backbone, Network
from model.objectives import needed
from model.rows import Rows

PREDICTS = ("masked_language_model", "causal_language_model")
"""Objectives that say which token stands, or comes next."""


def predictor(model: Electra | LanguageModel) -> tuple[str, nn.Module] | None:
    """Return the network that predicts tokens, and its objective; None: no such one is known."""
    network = model.generator if isinstance(model, Electra) else model.network
    if isinstance(network, LogitsGenerator):
        return PREDICTS[0], network
    if not isinstance(network, Network):
        return None  # a half of the user's own, which gives scores and no logits
    return next(((name, network) for name in PREDICTS if name in network.objectives), None)


def token_logits(network: nn.Module, objective: str, rows: Rows, places: Tensor) -> Tensor:
    """Return logits (M, V) at the flat places (M,) of a batch.

    Args:
        network: What `predictor` has found.
        objective: The name that came with it.
        rows: What is read; hidden tokens are hidden already.
        places: Where is asked; the masked tokens, or those whose next one is.
    """
    if isinstance(network, LogitsGenerator):
        logits = read_logits(network.module, rows, {}).flatten(0, 1)
        return logits[places, : network.vocab_size]
    own = cast(Network, network)
    backbone, learned = cast(Backbone, own.backbone), cast(Any, own.objectives[objective])
    states = backbone(
        rows.input_ids,
        rows.attention_mask,
        rows.token_type_ids,
        wanted=places,
        tokens=rows.places.tokens,
    )
    table = needed(backbone.word_embeddings)
    return vocabulary_logits(learned.head(states), table, learned.head.bias, learned.vocab_size)
