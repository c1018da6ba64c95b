"""The shape of a network and of an ELECTRA pair; field names are Hugging Face's."""

from dataclasses import dataclass
from typing import Literal, get_args

Activation = Literal["gelu", "gelu_new"]
SentenceOrder = Literal["discriminator", "both"]

SIZES = (
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_hidden_groups",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
# What the embeddings are made of: one module serves both halves of an ELECTRA pair.
EMBEDDING_FIELDS = (
    "vocab_size",
    "embedding_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_dropout_prob",
    "initializer_range",
    "layer_norm_eps",
    "pad_token_id",
)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One transformer encoder with factorized embeddings and, by group, shared layers.

    Args:
        vocab_size: Tokens in the vocabulary.
        embedding_size: Width of the embeddings; smaller than `hidden_size` = factorized.
        hidden_size: Width of the hidden states.
        num_hidden_layers: Layers that are applied.
        num_hidden_groups: Layers that have weights: 1 = all shared (ALBERT),
            `num_hidden_layers` = none shared (BERT).
        num_attention_heads: Attention heads of a layer.
        intermediate_size: Width inside the feed-forward block.
        hidden_act: "gelu" (by the error function: BERT, ELECTRA) or "gelu_new" (by tanh: ALBERT).
        hidden_dropout_prob: Dropout after the embeddings and after each block.
        attention_probs_dropout_prob: Dropout on the attention weights.
        max_position_embeddings: The longest row, in tokens.
        type_vocab_size: Segments a row may have.
        initializer_range: Standard deviation that weights are drawn with (ELECTRA and ALBERT,
            function `create_initializer` of their `modeling.py`).
        layer_norm_eps: Added to the variance in every LayerNorm.
        pad_token_id: Id that fills a row after its last token.

    Raises:
        ValueError: A value is out of range or two do not go together.
    """

    vocab_size: int
    embedding_size: int
    hidden_size: int
    num_hidden_layers: int
    num_hidden_groups: int = 1
    num_attention_heads: int
    intermediate_size: int
    hidden_act: Activation = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        for name in SIZES:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        for name in ("initializer_range", "layer_norm_eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        _check_divides(self, "num_attention_heads", "hidden_size")
        _check_divides(self, "num_hidden_groups", "num_hidden_layers")
        _check_choice("hidden_act", self.hidden_act, get_args(Activation))
        _check_token("pad_token_id", self.pad_token_id, self.vocab_size)


@dataclass(frozen=True, kw_only=True)
class ElectraConfig:
    """A generator, a discriminator, and how their objectives are weighed.

    Args:
        generator: Small network that fills in masked tokens.
        discriminator: Network that tells which tokens were filled in; the one to keep.
        mask_token_id: Id of [MASK].
        generator_weight: Weight of the masked-language-model loss (ELECTRA, section 2).
        discriminator_weight: Weight of the replaced-token loss (ELECTRA, section 2: 50).
        sentence_order_weight: Weight of each sentence-order loss (ALBERT: 1).
        sentence_order: Which networks learn the order of sentences.
        mask_replace_prob: Share of the positions to be predicted that become [MASK]; the others
            keep their token (google-research/electra, `pretrain/pretrain_helpers.py`: 0.85).

    Raises:
        ValueError: A value is out of range, or the two networks cannot share their embeddings.
    """

    generator: ModelConfig
    discriminator: ModelConfig
    mask_token_id: int
    generator_weight: float = 1.0
    discriminator_weight: float = 50.0
    sentence_order_weight: float = 1.0
    sentence_order: SentenceOrder = "discriminator"
    mask_replace_prob: float = 0.85

    def __post_init__(self) -> None:
        for name in EMBEDDING_FIELDS:
            mine, other = getattr(self.generator, name), getattr(self.discriminator, name)
            if mine != other:
                raise ValueError(
                    f"{name} is {mine} in the generator and {other} in the discriminator; "
                    "they share their embeddings and must agree"
                )
        for name in ("generator_weight", "discriminator_weight", "sentence_order_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be finite and >= 0")
        if not 0 <= self.mask_replace_prob <= 1:
            raise ValueError(f"mask_replace_prob is {self.mask_replace_prob}; it must be in [0, 1]")
        _check_choice("sentence_order", self.sentence_order, get_args(SentenceOrder))
        _check_token("mask_token_id", self.mask_token_id, self.generator.vocab_size)


def _check_divides(config: ModelConfig, part: str, whole: str) -> None:
    divisor, dividend = getattr(config, part), getattr(config, whole)
    if dividend % divisor:
        raise ValueError(f"{part} is {divisor}, which does not divide {whole}, {dividend}")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; known are {', '.join(known)}")


def _check_token(name: str, token_id: int, vocab_size: int) -> None:
    if not 0 <= token_id < vocab_size:
        raise ValueError(f"{name} is {token_id}, outside the vocabulary of {vocab_size} tokens")
