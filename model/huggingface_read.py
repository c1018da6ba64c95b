"""Read model folders: ours, those of `save_pretrained`, and published ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.heads import (
    CausalLanguageModelHead,
    MaskedLanguageModelHead,
    ReplacedTokenHead,
    SentenceOrderHead,
)
from model.huggingface_configs import SPECIAL, find_content_family, read_shape
from model.huggingface_families import ELECTRA, GPT2, Family, Heads
from model.huggingface_files import CONFIG, fill_tensors, load_tensors, read_json, weight_files
from model.huggingface_heads import (
    HEADS,
    SIDE,
    constant_tensors,
    family_tensors,
    side_tensors,
    without_convolution,
)
from model.huggingface_names import present_names
from model.huggingface_tensors import Tensors
from model.parts import Parts
from model.transformer import Transformer


class Found(NamedTuple):
    """A network that was read.

    Attributes:
        parts: The network, on the CPU, in eval mode, float32.
        family: The family that it is of.
        special: Ids of special tokens that the configuration tells, by its names.
        remarks: What was not taken as it is, a sentence each.
    """

    parts: Parts
    family: Family
    special: dict[str, int]
    remarks: list[str]


def read_parts(folder: Path) -> Found:
    """Return the network in a folder: of ours, of `save_pretrained`, or a published one.

    Raises:
        ValueError: Configuration or weights are broken or do not fit; the message says where.
        FileNotFoundError: There is no folder or no configuration.
    """
    content = read_json(folder / CONFIG)
    try:
        family = find_content_family(content)
        shape = read_shape(family, content)
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} cannot be used: {error}") from error
    files = weight_files(folder)
    try:
        found = present_names(load_tensors(files), family)
        side = load_tensors([folder / HEADS]) if (folder / HEADS).is_file() else {}
        shape = without_convolution(family, shape, found)
        parts, remarks = _fill(family, shape, content, found, side, folder)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if str(folder) in text else f"{folder}: {text}") from error
    special = {name: content[name] for name in SPECIAL if isinstance(content.get(name), int)}
    return Found(parts.eval(), family, special, remarks)


def load_transformer(folder: Path) -> Transformer:
    """Return the transformer in a folder, on the CPU, in eval mode; raises as `read_parts`."""
    return read_parts(folder).parts.transformer


def _fill(
    family: Family,
    shape: ModelConfig,
    content: dict[str, Any],
    found: dict[str, Tensor],
    side: Tensors,
    folder: Path,
) -> tuple[Parts, list[str]]:
    """Make a network of what a file has, and tell what was left out."""
    here = _heads_in(family, found)
    beside = frozenset(head for head, name in SIDE.items() if f"{name}weight" in side) | (
        {"replaced"} if "replaced_token.dense.weight" in side else frozenset()
    )
    if family is ELECTRA and "tokens" in here and shape.hidden_act != "gelu":
        raise ValueError(f"hidden_act is {shape.hidden_act!r}, but the class's head has 'gelu'")
    if "order" in here and "pooler" not in here:
        raise ValueError("it has a classifier of sentence order without its pooler")
    parts = _new_parts(shape, here | beside)
    tied = {name: found.pop(name) for name in family.tied if name in found}
    targets = family_tensors(family, parts, here, family.prefix)
    left_out = [n for n in found if n not in targets and not n.startswith(family.prefix)]
    remarks = _remarks(shape, found, [(name, found.pop(name)) for name in left_out])
    constants = constant_tensors(family, shape, family.prefix)
    fixed = {name: torch.empty_like(tensor) for name, tensor in constants.items()}
    fill_tensors(targets | fixed, found, folder)
    fill_tensors(side_tensors(parts, beside), side, folder / HEADS)
    for name, tensor in fixed.items():
        if not torch.equal(tensor, constants[name]):
            raise ValueError(
                f"{name} is not the identity; ours have no projection where the embeddings are as "
                "wide as the hidden states, and cannot hold such a model"
            )
    if "tokens" in here:
        parts.words = _own_words(family, parts, content, tied)
    return parts, remarks


def _remarks(
    shape: ModelConfig, kept: Mapping[str, Tensor], left_out: list[tuple[str, Tensor]]
) -> list[str]:
    remarks = []
    if shape.attention == "nystrom" and shape.conv_kernel_size:
        remarks.append("equal to its class without padding, which its convolution takes in there")
    if left_out:
        names = ", ".join(sorted(name for name, _ in left_out)[:4])
        remarks.append(f"left out, as our models have no such head: {names} ({len(left_out)})")
    types = {str(one.dtype).removeprefix("torch.") for one in kept.values()} - {"float32"}
    if types:
        remarks.append(f"stored as {', '.join(sorted(types))}, kept as float32")
    return remarks


def _own_words(
    family: Family, parts: Parts, content: dict[str, Any], tied: Mapping[str, Tensor]
) -> nn.Parameter | None:
    """Return the table that a GPT-2 predicts tokens with; None: that of embeddings, as ours do.

    Raises:
        ValueError: Another table or bias is there, of a class that cannot have one.
    """
    table, *biases = family.tied
    words = parts.transformer.word_embeddings[: parts.transformer.config.vocab_size]
    is_apart = content.get("tie_word_embeddings") is False
    if table not in tied and is_apart:
        raise ValueError(f"{table} is missing, and said not to be the table of embeddings")
    found = tied[table].to(words.dtype) if table in tied else words
    if family is GPT2 and is_apart and found.shape == words.shape:
        return None if torch.equal(found, words) else nn.Parameter(found)
    _check_same(table, found, words)
    for name in biases:
        if name in tied and parts.tokens is not None and parts.tokens.bias is not None:
            _check_same(name, tied[name], parts.tokens.bias)
    return None


def _check_same(name: str, found: Tensor, own: Tensor) -> None:
    if not torch.equal(found.to(own.dtype), own):
        raise ValueError(
            f"{name} is not the table of embeddings once more; ours predict with that table"
        )


def _heads_in(family: Family, found: dict[str, Tensor]) -> Heads:
    """Return the heads that a file has."""
    bias, tied = family.tokens.get("bias"), family.tied[-1]
    if bias and bias not in found and tied in found and tied.endswith("bias"):
        found[bias] = found[tied]  # one of two names of the same memory
    marks = {
        "tokens": family.tokens.get("dense"),
        "pooler": family.pooler and family.prefix + family.pooler,
        "order": family.order,
        "replaced": family.replaced and f"{family.replaced}.dense",
    }
    heads = {head for head, name in marks.items() if name and f"{name}.weight" in found}
    return frozenset(heads | ({"tokens"} if family is GPT2 else set()))


def _new_parts(shape: ModelConfig, heads: Heads) -> Parts:
    order = SentenceOrderHead(shape) if heads & {"pooler", "order"} else None
    head = CausalLanguageModelHead if shape.is_decoder else MaskedLanguageModelHead
    return Parts(
        Transformer(shape),
        tokens=head(shape) if "tokens" in heads else None,
        pooler=order.pooler if order and "pooler" in heads else None,
        order=order.classifier if order and "order" in heads else None,
        replaced=ReplacedTokenHead(shape) if "replaced" in heads else None,
    )
