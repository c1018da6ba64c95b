"""Write and read model folders that `transformers` loads, without `transformers`.

    FOLDER/config.json, model.safetensors             a network: a pair's discriminator
    FOLDER/heads.safetensors                          its heads that the class has no place for
    FOLDER/generator/config.json, model.safetensors   the pair's generator

A class is chosen that holds the network exactly: `model.huggingface_families`. No class holds an
ELECTRA discriminator with shared layers, or with sentence order; hence the side file.
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from model.algpt2 import multiplied_out
from model.electra import Electra
from model.heads import SentenceOrderHead
from model.huggingface_configs import write_config
from model.huggingface_families import BERT, ELECTRA, GPT2, Family, Heads, find_family
from model.huggingface_files import CONFIG, TORCH, WEIGHTS, write_json, write_tensors
from model.huggingface_heads import (
    HEADS,
    constant_tensors,
    family_tensors,
    side_tensors,
    with_first_positions,
)
from model.language_model import LanguageModel
from model.parts import Parts, discriminator_of, generator_of, language_model_parts

GENERATOR = "generator"
POLARITY = {
    "polarity": "replaced_token: above 0 = replaced; "
    "sentence_order: 0 = original order, 1 = swapped",
}


def save(folder: Path, model: Electra | LanguageModel) -> dict[str, str]:
    """Write a model; return the class of each network, by "discriminator", "generator", "model".

    Existing files of the same names are replaced. Tokenizer files are the caller's business, and
    so is a folder that appears all at once.

    Raises:
        ValueError: No class holds a network exactly; the message says why.
    """
    if isinstance(model, LanguageModel):
        return {"model": write_parts(folder, language_model_parts(model))}
    judge, filler = discriminator_of(model), generator_of(model)
    family = find_family(filler)
    if family is BERT and filler.transformer.config.hidden_act == "gelu":
        family = ELECTRA
    return {
        "discriminator": write_parts(folder, judge),
        "generator": write_parts(folder / GENERATOR, filler, family),
    }


def write_parts(
    folder: Path,
    parts: Parts,
    family: Family | None = None,
    special: Mapping[str, int] | None = None,
) -> str:
    """Write one network; return its class.

    Args:
        folder: Is made where it is missing.
        parts: The network.
        family: Whose class to write; None = the one that `find_family` chooses.
        special: Ids to tell beside those of the shape, by the configuration's names.

    Raises:
        ValueError: No class holds the network exactly; the message says why.
    """
    family = find_family(parts) if family is None else family
    shape = parts.transformer.config
    architecture, own = family.class_of(parts.heads)
    content = write_config(family, architecture, shape)
    prefix = family.prefix if own - {"pooler"} else ""
    if family is GPT2 and parts.transformer.projection is not None:
        tensors = multiplied_out(parts, prefix)
        content["tie_word_embeddings"] = False
    else:
        tensors = family_tensors(family, _with_pooler(parts, own), own, prefix)
        tensors |= constant_tensors(family, shape, prefix)
        if parts.words is not None:
            tensors[family.tied[0]] = parts.words.detach()
            content["tie_word_embeddings"] = False
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, content | dict(special or {}))
    write_tensors(folder / WEIGHTS, with_first_positions(family, tensors, prefix), TORCH)
    if rest := side_tensors(parts, parts.heads - own):
        write_tensors(folder / HEADS, rest, POLARITY)
    return architecture


def _with_pooler(parts: Parts, own: Heads) -> Parts:
    """Return parts that have the pooler of a class that always has one: drawn from a fixed seed."""
    if "pooler" not in own or parts.pooler is not None:
        return parts
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pooler = SentenceOrderHead(parts.transformer.config).pooler
    return Parts(parts.transformer, pooler=pooler)
