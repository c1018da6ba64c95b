"""The families of classes of `transformers` that hold our models exactly, and which one does.

Names and defaults are those of transformers 5 (`models/*/modeling_*.py`, `configuration_*.py`). A
class holds a transformer and some heads; heads for which it has no place go to a side file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from model.config import ModelConfig
from model.huggingface_tensors import Tensors, albert_tensors, bert_tensors, gpt2_tensors
from model.parts import Parts
from model.transformer import Transformer

Heads = frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Classes that share a configuration and the names of their tensors.

    Attributes:
        model_type: Its name in a configuration.
        prefix: Before the names of the transformer's tensors, in classes that have heads.
        roots: First components of those names without the prefix.
        body: Returns the transformer's tensors under its names.
        words: Name of the table of word embeddings, after the prefix.
        tokens: Its names of the dense layer, LayerNorm and bias of the head for tokens.
        tied: Names that a file may have for the table and the bias once more.
        pooler: Its name of the pooler, after the prefix.
        order: Its name of the classifier of sentence order.
        replaced: Its name of the head for replaced tokens.
        classes: Heads that a class has, with its name; the first whose heads are all there is it.
        fields: Its configuration's fields, by ours.
        defaults: What its configuration says where a file does not.
        fixed: Fields of it that are not ours to choose.
    """

    model_type: str
    prefix: str
    roots: tuple[str, ...] = ("embeddings", "embeddings_project", "encoder", "pooler")
    body: Callable[[Transformer, str], Tensors]
    words: str = "embeddings.word_embeddings.weight"
    tokens: dict[str, str] = field(default_factory=dict)
    tied: tuple[str, ...]
    pooler: str | None = None
    order: str | None = None
    replaced: str | None = None
    classes: tuple[tuple[Heads, str], ...]
    fields: dict[str, str]
    defaults: dict[str, Any]
    fixed: dict[str, Any]

    def class_of(self, heads: Heads) -> tuple[str, Heads]:
        """Return the class for these heads, and those of them that it has itself."""
        for own, name in self.classes:
            if own <= heads:
                return name, own
        heads_of_last, name = self.classes[-1]
        return name, heads_of_last


SIZES = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    "intermediate_size",
)
COMMON = {
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
"""Fields and defaults of all but GPT-2; the sizes have no default, for none would be right."""
ENCODER = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
BERT_TOKENS = {
    "dense": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
    "bias": "cls.predictions.bias",
}
BERT_TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")


def _fields(*more: str) -> dict[str, str]:
    return {name: name for name in (*SIZES, *COMMON, *more)}


ALBERT = Family(
    model_type="albert",
    prefix="albert.",
    body=albert_tensors,
    tokens={"dense": "predictions.dense", "norm": "predictions.LayerNorm"}
    | {"bias": "predictions.bias"},
    tied=("predictions.decoder.weight", "predictions.decoder.bias"),
    pooler="pooler",
    order="sop_classifier.classifier",
    classes=(
        (frozenset({"tokens", "pooler", "order"}), "AlbertForPreTraining"),
        (frozenset({"tokens"}), "AlbertForMaskedLM"),
        (frozenset({"pooler"}), "AlbertModel"),
    ),
    fields=_fields("embedding_size", "num_hidden_groups"),
    defaults=COMMON
    | {"embedding_size": 128, "num_hidden_groups": 1, "hidden_act": "gelu_new"}
    | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    fixed=ENCODER | {"inner_group_num": 1},
)
BERT = Family(
    model_type="bert",
    prefix="bert.",
    body=bert_tensors,
    tokens=BERT_TOKENS,
    tied=BERT_TIED,
    pooler="pooler.dense",
    order="cls.seq_relationship",
    classes=(
        (frozenset({"tokens", "pooler", "order"}), "BertForPreTraining"),
        (frozenset({"tokens"}), "BertForMaskedLM"),
        (frozenset({"pooler"}), "BertModel"),
    ),
    fields=_fields(),
    defaults=COMMON,
    fixed=ENCODER,
)
ELECTRA = Family(
    model_type="electra",
    prefix="electra.",
    body=bert_tensors,
    tokens={"dense": "generator_predictions.dense", "norm": "generator_predictions.LayerNorm"}
    | {"bias": "generator_lm_head.bias"},
    tied=("generator_lm_head.weight",),
    replaced="discriminator_predictions",
    classes=(
        (frozenset({"replaced"}), "ElectraForPreTraining"),
        (frozenset({"tokens"}), "ElectraForMaskedLM"),
        (frozenset(), "ElectraModel"),
    ),
    fields=_fields("embedding_size"),
    defaults=COMMON | {"embedding_size": 128},
    fixed=ENCODER,
)
NYSTROMFORMER = Family(
    model_type="nystromformer",
    prefix="nystromformer.",
    body=bert_tensors,
    tokens=BERT_TOKENS,
    tied=BERT_TIED,
    classes=(
        (frozenset({"tokens"}), "NystromformerForMaskedLM"),
        (frozenset(), "NystromformerModel"),
    ),
    fields=_fields(),
    defaults=COMMON
    | {"hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "pad_token_id": 1}
    | {"max_position_embeddings": 510, "num_landmarks": 64, "segment_means_seq_len": 64}
    | {"conv_kernel_size": 65},
    fixed={"add_cross_attention": False},
)
GPT2 = Family(
    model_type="gpt2",
    prefix="transformer.",
    roots=("wte", "wpe", "h", "ln_f"),
    body=gpt2_tensors,
    words="wte.weight",
    tied=("lm_head.weight",),
    classes=((frozenset({"tokens"}), "GPT2LMHeadModel"),),
    fields={
        "vocab_size": "vocab_size",
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "n_positions": "max_position_embeddings",
        "activation_function": "hidden_act",
        "resid_pdrop": "hidden_dropout_prob",
        "embd_pdrop": "embedding_dropout_prob",
        "attn_pdrop": "attention_probs_dropout_prob",
        "layer_norm_epsilon": "layer_norm_eps",
        "initializer_range": "initializer_range",
    },
    defaults={
        "n_inner": None,
        "n_positions": 1024,
        "activation_function": "gelu_new",
        "resid_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "attn_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
    },
    fixed={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
    },
)
FAMILIES = {one.model_type: one for one in (ALBERT, BERT, ELECTRA, NYSTROMFORMER, GPT2)}


def find_family(parts: Parts) -> Family:
    """Return the family whose classes hold a network exactly.

    Raises:
        ValueError: There is none; the message says why in one sentence.
    """
    shape = parts.transformer.config
    if shape.attention == "local":
        raise ValueError("attention is 'local': no class computes it faithfully")
    if shape.is_decoder != shape.norm_first:
        raise ValueError("no class has is_decoder or norm_first without the other")
    if shape.is_decoder:
        return GPT2
    if not shape.type_vocab_size:
        raise ValueError("type_vocab_size is 0: every class of encoders tells segments apart")
    is_shared = shape.num_hidden_groups != shape.num_hidden_layers
    is_factorized = shape.embedding_size != shape.hidden_size
    if shape.attention == "nystrom":
        _check_nystrom(shape, is_shared or is_factorized)
        return NYSTROMFORMER
    return _find_softmax_encoder(parts, is_shared, is_factorized)


def _find_softmax_encoder(parts: Parts, is_shared: bool, is_factorized: bool) -> Family:
    if is_shared:
        return ALBERT
    if "replaced" in parts.heads:
        return ELECTRA
    if not is_factorized:
        return BERT
    has_gelu = parts.transformer.config.hidden_act == "gelu"
    is_electra = "order" not in parts.heads and has_gelu
    return ELECTRA if is_electra else ALBERT


def _check_nystrom(shape: ModelConfig, is_albert_like: bool) -> None:
    if is_albert_like:
        raise ValueError("Nystromformer's classes have neither shared layers nor a projection")
    if shape.num_landmarks < shape.max_position_embeddings:
        raise ValueError(
            f"num_landmarks is {shape.num_landmarks}, less than the {shape.max_position_embeddings}"
            " positions: NystromformerForMaskedLM computes landmarks at rows of one length alone, "
            "and counts the padding"
        )
    if shape.conv_kernel_size:
        raise ValueError(
            f"conv_kernel_size is {shape.conv_kernel_size}: NystromformerForMaskedLM's convolution "
            "takes in the padding after a row"
        )


POSITIONS_OFFSET = 2
"""Rows that Nystromformer's table of positions has before the first position."""


def no_convolution(shape: ModelConfig) -> Tensors:
    """Return convolutions that give nothing, for a Nystromformer without any.

    Its class always has one; a kernel of width 1 that is 0 adds 0.
    """
    return {
        f"encoder.layer.{index}.attention.self.conv.weight": torch.zeros(
            shape.num_attention_heads, 1, 1, 1
        )
        for index in range(shape.num_hidden_layers)
    }
