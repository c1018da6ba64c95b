"""A network's tensors under a family's names, those of its heads included.

As in `model.huggingface_tensors` the tensors are views: to read, copy into them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from model.config import ModelConfig
from model.heads import MaskedLanguageModelHead
from model.huggingface_families import (
    ALBERT,
    NYSTROMFORMER,
    POSITIONS_OFFSET,
    Family,
    Heads,
    no_convolution,
)
from model.huggingface_tensors import Tensors, albert_constants, named_tensors
from model.parts import Parts

HEADS = "heads.safetensors"
SIDE = {
    "replaced": "replaced_token.",
    "pooler": "sentence_order.pooler.",
    "order": "sentence_order.classifier.",
}
"""Names of heads in the side file."""


def family_tensors(family: Family, parts: Parts, own: Heads, prefix: str) -> Tensors:
    """Return a network's tensors, and those of the heads `own`, under the family's names."""
    tensors = family.body(parts.transformer, prefix)
    size, words = parts.transformer.config.vocab_size, prefix + family.words
    tensors[words] = tensors[words][:size]  # padding rows are of no use to others
    if "tokens" in own and family.tokens:
        head = cast(MaskedLanguageModelHead, parts.tokens)
        tensors |= named_tensors(head.dense, f"{family.tokens['dense']}.")
        tensors |= named_tensors(head.norm, f"{family.tokens['norm']}.")
        tensors[family.tokens["bias"]] = head.bias.detach()[:size]
    places = {
        "pooler": f"{prefix}{family.pooler}.",
        "order": f"{family.order}.",
        "replaced": f"{family.replaced}.",
    }
    for head_name in sorted(own & places.keys()):
        tensors |= named_tensors(parts.get_submodule(head_name), places[head_name])
    return tensors


def side_tensors(parts: Parts, heads: Heads) -> Tensors:
    """Return the tensors of heads under their names in the side file."""
    tensors: Tensors = {}
    for head in sorted(heads):
        tensors |= named_tensors(parts.get_submodule(head), SIDE[head])
    return tensors


def constant_tensors(family: Family, shape: ModelConfig, prefix: str) -> Tensors:
    """Return the tensors that the class has and ours do without."""
    if family is ALBERT:
        return albert_constants(shape, prefix)
    if family is NYSTROMFORMER and not shape.conv_kernel_size:
        return {prefix + name: tensor for name, tensor in no_convolution(shape).items()}
    return {}


def without_convolution(
    family: Family, shape: ModelConfig, found: Mapping[str, Tensor]
) -> ModelConfig:
    """Return the shape without convolutions that give nothing, as we write them."""
    if family is not NYSTROMFORMER or shape.conv_kernel_size != 1:
        return shape
    convolutions = [tensor for name, tensor in found.items() if ".conv." in name]
    return shape if any(map(torch.any, convolutions)) else replace(shape, conv_kernel_size=0)


def with_first_positions(family: Family, tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors with the rows before the first position that Nystromformer has."""
    name = f"{prefix}embeddings.position_embeddings.weight"
    if family is not NYSTROMFORMER:
        return tensors
    table = tensors[name]
    return tensors | {name: torch.cat([table.new_zeros(POSITIONS_OFFSET, table.shape[1]), table])}
