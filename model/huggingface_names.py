"""Tensors of other people's folders, brought under the names that `transformers` gives them now."""

import re
from collections.abc import Mapping

from torch import Tensor

from model.huggingface_families import NYSTROMFORMER, POSITIONS_OFFSET, Family

WRAPPERS = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""TensorFlow's names, which BERT's first checkpoints kept."""
BUFFERS = re.compile(r"(^|\.)(position_ids|token_type_ids|attn\.bias|attn\.masked_bias)$")
"""Constants that older versions wrote down: numbers of positions, GPT-2's causal mask."""


def present_names(found: Mapping[str, Tensor], family: Family) -> dict[str, Tensor]:
    """Return a file's tensors by their present names, constants left out.

    Raises:
        ValueError: Two names come to the same, such as those with and without a prefix.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in found.items():
        if BUFFERS.search(name):
            continue
        present = _present_name(name, family)
        if present in tensors:
            raise ValueError(f"{present} is there twice, once as {name}")
        tensors[present] = tensor
    positions = f"{family.prefix}embeddings.position_embeddings.weight"
    if family is NYSTROMFORMER and positions in tensors:
        tensors[positions] = tensors[positions][POSITIONS_OFFSET:]
    return tensors


def _present_name(name: str, family: Family) -> str:
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    for old, new in OLD_NAMES.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    if name.partition(".")[0] in family.roots:
        name = family.prefix + name
    return name
