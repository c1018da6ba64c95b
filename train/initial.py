"""The weights that a run begins with: drawn anew, or those of an earlier run or a published model.

A source may be a run, or a folder that `export` wrote or a model was downloaded to. Its networks
must have the shape of the preset's; heads that it does not have are drawn anew, and that is said.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from model.config import DROPOUTS, ElectraConfig, ModelConfig
from model.electra import Electra, make_electra
from model.huggingface import GENERATOR
from model.huggingface_files import CONFIG
from model.huggingface_read import read_parts
from model.language_model import LanguageModel
from model.network import Network
from model.parts import Parts, language_model_parts, parts_of
from model.presets import PRESETS
from model.transformer import Transformer
from pipeline.encode import load_tokenizer
from shards.errors import DataError
from shards.manifest import difference
from train.checkpoint import load_weights, newest_checkpoint
from train.runs import NETWORKS, RUN_FILE, ModelKind, Run, find_export, load_run, model_of

FREE = {
    *DROPOUTS,
    "initializer_range",
    "position_initializer",
    "pad_to_multiple_of",
    "pad_token_id",
    "vocab_size",
}
"""Fields of a shape that may differ: the same weights compute the same without dropout, and of a
table only the entries that are tokens are ever read."""

BY_TOKEN = ("word_embeddings.weight", "masked_language_model.head.bias", "tokens.bias")
"""How the names end of tensors with an entry for each token."""

OF_THE_DATA = ("max_position_embeddings",)
"""Fields of a shape, not in FREE, that are settled with the data, not by a preset."""


class Source(NamedTuple):
    """Where weights come from.

    Attributes:
        folder: What a person named.
        networks: Modules by "generator", "discriminator" or "model".
        shapes: Their shapes.
        tokenizer: The tokenizer's file.
    """

    folder: Path
    networks: dict[str, nn.Module]
    shapes: dict[str, ModelConfig]
    tokenizer: Path

    @property
    def max_position_embeddings(self) -> int:
        """Return the longest row that all its networks take."""
        return min(shape.max_position_embeddings for shape in self.shapes.values())


def make_model(config: ModelKind) -> Electra | LanguageModel:
    """Return the model of a configuration, its weights drawn anew."""
    return make_electra(config) if isinstance(config, ElectraConfig) else LanguageModel(config)


def load_trained(run: Run, checkpoint: Path) -> Electra | LanguageModel:
    """Return a run's model as one of its checkpoints has it.

    Raises:
        DataError: The model is the user's own, or of another shape.
    """
    model = make_model(model_of(run))
    load_weights(checkpoint, model)
    return model


def checkpoint_activations(model: nn.Module, is_on: bool) -> None:
    """Have our transformers compute activations again in the backward pass, or not."""
    for module in model.modules():
        if isinstance(module, Transformer):
            module.checkpoint_layers = is_on


def open_source(folder: Path) -> Source:
    """Read the weights of an earlier run, or of a model folder.

    Raises:
        DataError: There are none, or they cannot be read.
    """
    if not folder.is_dir():
        problem = f"{folder} is {'a file' if folder.exists() else 'not there'}"
        remedy = "give a run's folder, one that `python cli.py export` wrote, or a downloaded model"
        raise DataError(f"{problem}: there are no weights to begin with", remedy)
    if (folder / RUN_FILE).is_file():
        return _open_run(folder)
    place = find_export(folder)
    try:
        first = read_parts(place).parts
        has_two = (place / GENERATOR / CONFIG).is_file()
        parts = {"generator": read_parts(place / GENERATOR).parts} if has_two else {}
    except ValueError as error:
        raise DataError(str(error).replace("\n", " "), "give a whole model folder") from error
    if first.words is not None:
        problem = f"{place} predicts tokens with another table than that of its embeddings"
        raise DataError(problem, "give the run that it was exported from, or another model")
    is_judge = has_two or first.replaced is not None
    parts = {"discriminator" if is_judge else "model": first, **parts}
    shapes = {name: one.transformer.config for name, one in parts.items()}
    return Source(folder, dict(parts), shapes, place / "tokenizer.json")


def _open_run(folder: Path) -> Source:
    run = load_run(folder)
    model = load_trained(run, newest_checkpoint(run.checkpoints))
    shapes = {name: getattr(run.model, name) for name in NETWORKS if hasattr(run.model, name)}
    return Source(folder, _networks(model), shapes, run.tokenizer / "tokenizer.json")


def initialize(
    model: Electra | LanguageModel, config: ModelKind, source: Source, tokenizer: Path
) -> list[str]:
    """Copy the weights of `source` into `model`; return what should be known.

    Args:
        model: Made from `config`, on any device.
        config: The networks.
        source: Where weights come from.
        tokenizer: The file of the tokenizer that the shards were made with.

    Raises:
        DataError: Vocabulary or shapes differ, or no network is of the same kind.
    """
    tokens = _check_tokenizer(source, tokenizer)
    try:
        is_run = not any(isinstance(one, Parts) for one in source.networks.values())
        own = _networks(model) if is_run else _parts(model)
    except ValueError as error:
        remedy = "give a run of the same preset"
        raise DataError(f"a model folder cannot hold this preset: {error}", remedy) from error
    common = [name for name in own if name in source.networks]
    if not common:
        problem = f"{source.folder} has a {' and '.join(source.networks)}, not a {' or '.join(own)}"
        raise DataError(problem, _choose_preset(source))
    remarks = [f"no {name} in {source.folder}: drawn anew" for name in own if name not in common]
    for name in common:
        _check_shape(source, name, getattr(config, name))
    for name in common:
        wanted = getattr(config, name).vocab_size
        size = min(wanted, tokens)  # further entries of the source's table were never trained
        anew = _copy(own[name].state_dict(), source.networks[name].state_dict(), size)
        missing = sorted({key.rpartition(".")[0] for key in anew})
        remarks += [f"{name}: {', '.join(missing)} drawn anew"] if missing else []
        if more := wanted - size:
            remarks.append(f"{name}: the last {more} entries of the vocabulary drawn anew")
    return remarks


def _networks(model: Electra | LanguageModel) -> dict[str, nn.Module]:
    if isinstance(model, LanguageModel):
        return {"model": model.network}
    return {"discriminator": model.discriminator, "generator": model.generator}


def _parts(model: Electra | LanguageModel) -> dict[str, nn.Module]:
    if isinstance(model, LanguageModel):
        return {"model": language_model_parts(model)}
    halves = {"discriminator": model.discriminator, "generator": model.generator}
    return {name: parts_of(cast(Network, half)) for name, half in halves.items()}


def _check_tokenizer(source: Source, tokenizer: Path) -> int:
    """Refuse a source whose tokens have other ids than those of the shards; return how many it has.

    The shards may have tokens beyond the source's: those of roles that a GPT-2 lacks, or padding.
    """
    if not source.tokenizer.is_file():
        problem = f"{source.folder} has no tokenizer.json to compare the vocabulary with"
        remedy = f"`python cli.py import {source.folder} --out RUN` makes one; give that run"
        raise DataError(problem, remedy)
    remedy = f"pack with its tokenizer: `python cli.py pack --tokenizer {source.tokenizer.parent}`"
    own, other = (
        load_tokenizer(path, remedy).get_vocab() for path in (tokenizer, source.tokenizer)
    )
    last = max(other.values())
    if last >= (size := min(shape.vocab_size for shape in source.shapes.values())):
        problem = f"{source.tokenizer} has {last + 1} tokens, its model only {size}"
        raise DataError(problem, "give the tokenizer that belongs to the model")
    different = {
        item for item in own.items() ^ other.items() if item[0] in other or item[1] <= last
    }
    if different:
        token = min(different, key=lambda item: item[::-1])[0]
        problem = (
            f"the vocabulary of {source.folder} is not that of the shards: token {token!r} is "
            f"{other.get(token, 'not there')} in it and {own.get(token, 'not there')} in theirs"
        )
        raise DataError(problem, remedy)
    return last + 1


def _check_shape(source: Source, name: str, shape: ModelConfig) -> None:
    if different := difference(_fixed(source.shapes[name]), _fixed(shape)):
        problem = f"the {name} in {source.folder} has {different} as the preset's"
        raise DataError(problem, _choose_preset(source))


def _fixed(shape: ModelConfig) -> dict[str, Any]:
    return {field: value for field, value in asdict(shape).items() if field not in FREE}


def _choose_preset(source: Source) -> str:
    """Return the remedy that names the presets whose networks have the source's shapes."""
    found = {name: _fixed(shape) for name, shape in source.shapes.items()}
    fitting = []
    for preset, own in PRESETS.items():
        networks = {name: getattr(own.model, name, None) for name in found}
        sizes = {name: {field: found[name][field] for field in OF_THE_DATA} for name in found}
        if all(
            shape is not None and _fixed(shape) | sizes[name] == found[name]
            for name, shape in networks.items()
        ):
            fitting.append(preset)
    if fitting:
        return f"its shape is that of --preset {' or '.join(fitting)}: choose that"
    shape = max(source.shapes.values(), key=lambda one: one.num_hidden_layers)
    layers = f"{shape.num_hidden_layers} layers of {shape.hidden_size}"
    return f"no preset has its shape ({layers}): leave --init-from out, or give another model"


def _copy(own: Mapping[str, Tensor], found: Mapping[str, Tensor], tokens: int) -> list[str]:
    """Copy tensors by name; return the names of those that there are none for.

    Tables may differ in length; only their first entries, for so many tokens, are copied.
    """
    with torch.no_grad():
        for name in own.keys() & found.keys():
            end = tokens if name.endswith(BY_TOKEN) else None
            own[name][:end].copy_(found[name][:end])
    return [name for name in own if name not in found]
