"""Our tensors under the names that `transformers` gives them.

Each function returns views of a module's own memory, so that writing and reading go through one
table: to write, save the views; to read, copy into them. Names and layouts are those of
transformers 5 (`models/*/modeling_*.py`). Where layers are shared and the other side has a copy for
each, several names are the same memory.
"""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.embeddings import Embeddings
from model.heads import MaskedLanguageModelHead
from model.layers import Layer
from model.transformer import Transformer

Tensors = dict[str, Tensor]

ALBERT_PROJECTION = "encoder.embedding_hidden_mapping_in"
ALBERT_LAYER = {
    "attention.dense": "attention.dense",
    "attention_norm": "attention.LayerNorm",
    "feed_forward.expand": "ffn",
    "feed_forward.contract": "ffn_output",
    "feed_forward_norm": "full_layer_layer_norm",
}
BERT_LAYER = {
    "attention.dense": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feed_forward.expand": "intermediate.dense",
    "feed_forward.contract": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
GPT2_LAYER = {
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.dense": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.expand": "mlp.c_fc",
    "feed_forward.contract": "mlp.c_proj",
}


def albert_tensors(transformer: Transformer, prefix: str) -> Tensors:
    """Return the tensors of an AlbertModel, its pooler and `albert_constants` left out."""
    tensors = embedding_tensors(transformer.embeddings, f"{prefix}embeddings.")
    if transformer.projection is not None:
        tensors |= named_tensors(transformer.projection, f"{prefix}{ALBERT_PROJECTION}.")
    for group, layer in enumerate(_layers(transformer)):
        place = f"{prefix}encoder.albert_layer_groups.{group}.albert_layers.0."
        tensors |= _layer_tensors(layer, place, ALBERT_LAYER, "attention.")
    return tensors


def bert_tensors(transformer: Transformer, prefix: str) -> Tensors:
    """Return the tensors of a BertModel, ElectraModel or NystromformerModel, poolers left out."""
    tensors = embedding_tensors(transformer.embeddings, f"{prefix}embeddings.")
    if transformer.projection is not None:
        tensors |= named_tensors(transformer.projection, f"{prefix}embeddings_project.")
    for index, layer in enumerate(_applied_layers(transformer)):
        place = f"{prefix}encoder.layer.{index}."
        tensors |= _layer_tensors(layer, place, BERT_LAYER, "attention.self.")
        if layer.attention.mechanism.state_dict():
            tensors |= named_tensors(layer.attention.mechanism, f"{place}attention.self.")
    return tensors


def gpt2_tensors(transformer: Transformer, prefix: str) -> Tensors:
    """Return the tensors of a GPT2Model, whose products keep their weights transposed."""
    embeddings = transformer.embeddings
    tensors = {
        f"{prefix}wte.weight": embeddings.word_embeddings.weight.detach(),
        f"{prefix}wpe.weight": embeddings.position_embeddings.weight.detach(),
    }
    for index, layer in enumerate(_applied_layers(transformer)):
        for ours, theirs in GPT2_LAYER.items():
            module = layer.get_submodule(ours)
            for name, tensor in module.state_dict().items():
                is_product = isinstance(module, nn.Linear) and name == "weight"
                tensors[f"{prefix}h.{index}.{theirs}.{name}"] = tensor.t() if is_product else tensor
    if transformer.final_norm is not None:
        tensors |= named_tensors(transformer.final_norm, f"{prefix}ln_f.")
    return tensors


def head_tensors(head: MaskedLanguageModelHead, prefix: str) -> Tensors:
    """Return the tensors of a head that predicts masked tokens, under ALBERT's names."""
    return {
        prefix + name.replace("norm.", "LayerNorm."): tensor
        for name, tensor in head.state_dict().items()
    }


def albert_constants(config: ModelConfig, prefix: str) -> Tensors:
    """Return the tensors that an AlbertModel has and we do without.

    It has a projection even where E = H; for ours, which has none, the identity stands there.
    """
    width = config.hidden_size
    if config.embedding_size != width:
        return {}
    mapping = f"{prefix}{ALBERT_PROJECTION}."
    return {f"{mapping}weight": torch.eye(width), f"{mapping}bias": torch.zeros(width)}


def embedding_tensors(embeddings: Embeddings, prefix: str) -> Tensors:
    """Return the tensors of embeddings, the same in all but GPT-2."""
    return {
        prefix + name.replace("norm.", "LayerNorm."): tensor
        for name, tensor in embeddings.state_dict().items()
    }


def named_tensors(module: nn.Module, prefix: str) -> Tensors:
    """Return a module's tensors under their own names after `prefix`."""
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}


def _layer_tensors(layer: Layer, prefix: str, names: dict[str, str], attention: str) -> Tensors:
    tensors: Tensors = {}
    for name, tensor in layer.attention.query_key_value.state_dict().items():
        for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
            tensors[f"{prefix}{attention}{part}.{name}"] = third
    for ours, theirs in names.items():
        tensors |= named_tensors(layer.get_submodule(ours), f"{prefix}{theirs}.")
    return tensors


def _layers(transformer: Transformer) -> Iterator[Layer]:
    """Yield the layers that have weights."""
    for layer in transformer.layers:
        yield cast(Layer, layer)


def _applied_layers(transformer: Transformer) -> Iterator[Layer]:
    """Yield a layer for each time that one is applied."""
    layers, config = list(_layers(transformer)), transformer.config
    for index in range(config.num_hidden_layers):
        yield layers[index * config.num_hidden_groups // config.num_hidden_layers]
