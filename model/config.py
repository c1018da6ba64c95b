"""The shape of a network, and what networks learn; field names are Hugging Face's if it has any."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from model.checks import check_choice, check_divides, check_shares, check_token, check_weights

Activation = Literal["gelu", "gelu_new"]
Attention = Literal["softmax", "local", "nystrom"]
Positions = Literal["normal", "sinusoids"]
SentenceOrder = Literal["neither", "generator", "discriminator", "both"]

SIZES = (
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_hidden_groups",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "pad_to_multiple_of",
    "local_attention",
    "global_attn_every_n_layers",
    "num_landmarks",
)
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "embedding_dropout_prob")
# What the embeddings are made of: one module serves both halves of an ELECTRA pair.
EMBEDDING_FIELDS = (
    "vocab_size",
    "embedding_size",
    "max_position_embeddings",
    "type_vocab_size",
    "embedding_dropout_prob",
    "norm_first",
    "initializer_range",
    "position_initializer",
    "layer_norm_eps",
    "pad_token_id",
    "pad_to_multiple_of",
)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One transformer, from ALBERT to GPT-2 by its fields.

    Args:
        vocab_size: Tokens in the vocabulary.
        embedding_size: Width of the embeddings; other than `hidden_size` = factorized (ALBERT).
        hidden_size: Width of the hidden states.
        num_hidden_layers: Layers that are applied.
        num_hidden_groups: Layers that have weights: 1 = all shared (ALBERT),
            `num_hidden_layers` = none shared (BERT).
        num_attention_heads: Attention heads of a layer.
        intermediate_size: Width inside the feed-forward block.
        hidden_act: "gelu" (by the error function: BERT, ELECTRA) or "gelu_new" (by tanh: ALBERT).
        hidden_dropout_prob: Dropout after each block.
        attention_probs_dropout_prob: Dropout on the attention weights.
        embedding_dropout_prob: Dropout after the embeddings.
        max_position_embeddings: The longest row, in tokens.
        type_vocab_size: Segments a row may have; 0 = none are told apart (GPT-2).
        initializer_range: Standard deviation that weights are drawn with (ELECTRA and ALBERT,
            function `create_initializer` of their `modeling.py`).
        position_initializer: What the position table is before training: "normal" as all else, or
            "sinusoids", by which near positions are alike from the first step; learnt all the same.
        layer_norm_eps: Added to the variance in every LayerNorm.
        pad_token_id: Id that fills a row after its last token.
        norm_first: LayerNorm before each block and once at the end (GPT-2), instead of after each
            block and over the embeddings (BERT).
        is_decoder: No token sees those after it (GPT-2).
        attention: "softmax" over all tokens, "local" (a window, see below), or "nystrom".
        local_attention: Tokens in the window, half on each side (ModernBERT: 128).
        global_attn_every_n_layers: Every so many layers, from the first, see the whole row.
        num_landmarks: Landmarks of Nystrom attention.
        conv_kernel_size: Odd width of its convolution over the values (Nystromformer's code:
            33); 0 = none.
        pad_to_multiple_of: The table of embeddings has a multiple of so many rows; those beyond
            the vocabulary are never read or predicted.

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
    embedding_dropout_prob: float = 0.1
    max_position_embeddings: int
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    position_initializer: Positions = "normal"
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    norm_first: bool = False
    is_decoder: bool = False
    attention: Attention = "softmax"
    local_attention: int = 128
    global_attn_every_n_layers: int = 3
    num_landmarks: int = 64
    conv_kernel_size: int = 33
    pad_to_multiple_of: int = 1

    def __post_init__(self) -> None:
        for name in SIZES:
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be at least 1")
        for name in ("type_vocab_size", "conv_kernel_size", "pad_token_id"):
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a whole number")
        if self.type_vocab_size < 0:
            raise ValueError(f"type_vocab_size is {self.type_vocab_size}; it must be at least 0")
        _check_numbers(self)
        check_divides(self, "num_attention_heads", "hidden_size")
        check_divides(self, "num_hidden_groups", "num_hidden_layers")
        check_choice("hidden_act", self.hidden_act, get_args(Activation))
        check_choice("attention", self.attention, get_args(Attention))
        check_choice("position_initializer", self.position_initializer, get_args(Positions))
        check_token("pad_token_id", self.pad_token_id, self.vocab_size)
        _check_attention(self)

    @property
    def padded_vocab_size(self) -> int:
        """Return the rows of the table of word embeddings."""
        return math.ceil(self.vocab_size / self.pad_to_multiple_of) * self.pad_to_multiple_of


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """One network and what it learns; an objective of weight 0 is not learned and has no head.

    ALBERT learns masked tokens and sentence order, SpanBERT masked tokens and span boundaries. A
    decoder learns the next token alone, and of the fields below only `model` is used.

    Args:
        model: The network.
        mask_token_id: Id of [MASK]; None for a decoder.
        masked_language_model_weight: Weight of the masked-language-model loss.
        sentence_order_weight: Weight of the sentence-order loss (ALBERT: 1).
        span_boundary_weight: Weight of the span-boundary loss (SpanBERT: 1). Where it is learned,
            a span is hidden as a whole (SpanBERT, section 3.1).
        mask_replace_prob: Share of the positions to be predicted that become [MASK].
        random_replace_prob: Share that becomes a random token; the rest keeps its own (BERT,
            section 3.1: 0.8 and 0.1).

    Raises:
        ValueError: A value is out of range or two do not go together.
    """

    model: ModelConfig
    mask_token_id: int | None = None
    masked_language_model_weight: float = 1.0
    sentence_order_weight: float = 1.0
    span_boundary_weight: float = 0.0
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1

    def __post_init__(self) -> None:
        weights = (
            "masked_language_model_weight",
            "sentence_order_weight",
            "span_boundary_weight",
        )
        check_weights(self, weights)
        check_shares(self, ("mask_replace_prob", "random_replace_prob"))
        if self.mask_replace_prob + self.random_replace_prob > 1:
            raise ValueError(
                f"mask_replace_prob {self.mask_replace_prob} and random_replace_prob "
                f"{self.random_replace_prob} are more than 1 together"
            )
        if self.model.is_decoder:
            return
        if not any(getattr(self, name) for name in weights):
            raise ValueError(f"all of {', '.join(weights)} are 0: there is nothing to learn")
        if self.mask_token_id is None:
            raise ValueError("mask_token_id is None; only a decoder does without")
        check_token("mask_token_id", self.mask_token_id, self.model.vocab_size)


@dataclass(frozen=True, kw_only=True)
class ElectraObjective:
    """How any pair of generator and discriminator is trained.

    Args:
        mask_token_id: Id of [MASK].
        generator_weight: Weight of the masked-language-model loss (ELECTRA, section 2).
        discriminator_weight: Weight of the replaced-token loss (ELECTRA, section 2: 50).
        sentence_order_weight: Weight of each sentence-order loss (ALBERT: 1).
        mask_replace_prob: Share of the positions to be predicted that become [MASK]; the others
            keep their token (google-research/electra, `pretrain/pretrain_helpers.py`: 0.85).
        temperature: Of the softmax that replacements are drawn from.

    Raises:
        ValueError: A value is out of range.
    """

    mask_token_id: int
    generator_weight: float = 1.0
    discriminator_weight: float = 50.0
    sentence_order_weight: float = 1.0
    mask_replace_prob: float = 0.85
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_weights(self, ("generator_weight", "discriminator_weight", "sentence_order_weight"))
        check_shares(self, ("mask_replace_prob",))
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; it must be finite and above 0")


@dataclass(frozen=True, kw_only=True)
class ElectraConfig(ElectraObjective):
    """A pair of our own networks, and how it is trained.

    Args:
        generator: Small network that fills in masked tokens.
        discriminator: Network that tells which tokens were filled in; the one to keep.
        sentence_order: Which networks learn the order of sentences.
        tie_embeddings: Whether the two networks have one table of embeddings.

    Raises:
        ValueError: A value is out of range, or the two networks do not fit together.
    """

    generator: ModelConfig
    discriminator: ModelConfig
    sentence_order: SentenceOrder = "discriminator"
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in EMBEDDING_FIELDS if self.tie_embeddings else ("vocab_size",):
            mine, other = getattr(self.generator, name), getattr(self.discriminator, name)
            if mine != other:
                raise ValueError(
                    f"{name} is {mine} in the generator and {other} in the discriminator; "
                    "they share it and must agree"
                )
        for name in ("generator", "discriminator"):
            if getattr(self, name).is_decoder:
                raise ValueError(f"is_decoder is True in the {name}; ELECTRA reads both ways")
        check_choice("sentence_order", self.sentence_order, get_args(SentenceOrder))
        check_token("mask_token_id", self.mask_token_id, self.generator.vocab_size)


def _check_numbers(config: ModelConfig) -> None:
    for name in DROPOUTS:
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be in [0, 1)")
    for name in ("initializer_range", "layer_norm_eps"):
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be above 0")


def _check_attention(config: ModelConfig) -> None:
    if config.attention == "local" and config.local_attention % 2:
        raise ValueError(f"local_attention is {config.local_attention}; it must be even")
    if config.attention != "nystrom":
        return
    if config.is_decoder:
        raise ValueError(
            "attention is 'nystrom' in a decoder; its landmarks are means over the whole row, "
            "so every token would see those after it"
        )
    if config.attention_probs_dropout_prob:
        found = config.attention_probs_dropout_prob
        raise ValueError(f"attention_probs_dropout_prob is {found}; with 'nystrom' it must be 0")
    if config.conv_kernel_size and config.conv_kernel_size % 2 == 0:
        raise ValueError(f"conv_kernel_size is {config.conv_kernel_size}; it must be odd, or 0")
    if config.conv_kernel_size < 0:
        raise ValueError(f"conv_kernel_size is {config.conv_kernel_size}; it must be at least 0")
