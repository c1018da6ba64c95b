"""A transformer and the heads on it: what a model folder holds, whatever class it is of.

Shapes: B rows, T places, V vocabulary.
"""

from typing import cast

from torch import Tensor, nn

from model.cache import Cache
from model.electra import Electra
from model.heads import (
    CausalLanguageModelHead,
    MaskedLanguageModelHead,
    ReplacedTokenHead,
    SentenceOrderHead,
    vocabulary_logits,
)
from model.language_model import LanguageModel
from model.network import Network
from model.transformer import Transformer

TokenHead = MaskedLanguageModelHead | CausalLanguageModelHead


class Parts(nn.Module):
    """One network taken apart; each head may be absent, and memory is that of what it came from.

    Args:
        transformer: Token ids to hidden states.
        tokens: Which token stands at a place, or comes after it.
        pooler: The dense layer of the tanh pooler on the first token.
        order: Two logits on it: 0 = original order, 1 = swapped. Never without a pooler.
        replaced: Whether a token was replaced.

    Attributes:
        words: The table (V, H) that tokens are predicted with, of a decoder that was read; None, as
            in all that are trained here: the table of embeddings.
    """

    def __init__(
        self,
        transformer: Transformer,
        *,
        tokens: TokenHead | None = None,
        pooler: nn.Linear | None = None,
        order: nn.Linear | None = None,
        replaced: ReplacedTokenHead | None = None,
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.tokens, self.pooler, self.order, self.replaced = tokens, pooler, order, replaced
        self.words: nn.Parameter | None = None

    @property
    def heads(self) -> frozenset[str]:
        """Return the names of the heads that are there."""
        return frozenset(name for name, _ in self.named_children()) - {"transformer"}

    def token_logits(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return logits (B, T, V) of rows (B, T); there must be a head for tokens."""
        return self._token_logits(self.transformer(input_ids, attention_mask, token_type_ids))

    def token_logits_at(
        self, wanted: Tensor, input_ids: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """Return logits (M, V) at some places of rows without padding.

        There must be a head for tokens.

        Args:
            wanted: The places in the flattened batch (M,).
            input_ids: Tokens (B, T).
            cache: Of a decoder, what it has kept of the tokens before these, if any.
        """
        return self._token_logits(self.transformer(input_ids, wanted=wanted, cache=cache))

    def _token_logits(self, states: Tensor) -> Tensor:
        head = cast(TokenHead, self.tokens)
        words = self.transformer.word_embeddings if self.words is None else self.words
        vocab_size = self.transformer.config.vocab_size
        return vocabulary_logits(head(states), words, head.bias, vocab_size)

    def replaced_logits(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> Tensor:
        """Return logits (B, T), above 0 = replaced; there must be a head for them."""
        states = self.transformer(input_ids, attention_mask, token_type_ids)
        logits: Tensor = cast(ReplacedTokenHead, self.replaced)(states)
        return logits

    def order_logits(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> Tensor:
        """Return logits (B, 2) of the order of sentences; there must be a head for it."""
        states = self.transformer(input_ids, attention_mask, token_type_ids)
        pooled = cast(nn.Linear, self.pooler)(states[:, 0]).tanh()
        logits: Tensor = cast(nn.Linear, self.order)(pooled)
        return logits


def generator_of(model: Electra) -> Parts:
    """Return the generator of our own pair; its sentence order serves training only."""
    parts = parts_of(cast(Network, model.generator))
    return Parts(parts.transformer, tokens=parts.tokens)


def discriminator_of(model: Electra) -> Parts:
    """Return the discriminator of our own pair."""
    return parts_of(cast(Network, model.discriminator))


def language_model_parts(model: LanguageModel) -> Parts:
    """Return the one network of a language model."""
    return parts_of(model.network)


def parts_of(network: Network) -> Parts:
    """Return a network's parts.

    Raises:
        ValueError: It learns something for which no class of `transformers` has a head.
    """
    heads: dict[str, nn.Module] = {}
    for name, objective in network.objectives.items():
        head = objective.get_submodule("head") if name in PARTS else None
        if head is None:
            raise ValueError(f"it learns {name}: no class has a head for that")
        if isinstance(head, SentenceOrderHead):
            heads |= {"pooler": head.pooler, "order": head.classifier}
        else:
            heads[PARTS[name]] = head
    return Parts(cast(Transformer, network.backbone), **heads)  # type: ignore[arg-type]


PARTS = {
    "masked_language_model": "tokens",
    "causal_language_model": "tokens",
    "sentence_order": "order",
    "replaced_token": "replaced",
}
"""Objectives whose heads a class of `transformers` or our side file holds, and the part."""
