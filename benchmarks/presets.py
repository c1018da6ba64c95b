"""The table of `docs/models.md`: what each preset is and what it costs.

Parameters are counted over distinct storages, operations by `model.flops` for a batch of rows of
128 tokens, 15 % of them masked. Memory is what the forward pass keeps for the backward pass, in
float32 without dropout, by torch's own hooks on saved tensors, parameters left out; a number for
each saving turned off, and one with layers checkpointed. It is the same on every device.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import objectives
from model.config import ElectraConfig, LanguageModelConfig, ModelConfig
from model.electra import Electra, make_electra
from model.feed_forward import FeedForward
from model.flops import BatchSize, step_flops
from model.language_model import LanguageModel
from model.presets import PRESETS
from model.transformer import Transformer
from model.vocabulary import Prediction

ROWS, LENGTH = 4, 128
MOST_FLOPS = 700_000_000
"""Of a token; memory of larger models is not measured: it would take minutes here."""
Model = Electra | LanguageModel


def main() -> None:
    """Print a table in Markdown and, last, a JSON line."""
    heads = "preset", "parameters, M", "MFLOP a token", *MEMORIES
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for name, preset in PRESETS.items():
        config = _without_dropout(preset.model)
        with torch.device("meta"):
            parameters = _size(_build(config))
        flops = step_flops(config, BatchSize(ROWS, LENGTH, ROWS * LENGTH, int(_masked().sum())))
        cells = [f"{parameters / 1e6:.2f}", f"{flops / ROWS / LENGTH / 1e6:.1f}"]
        if flops <= MOST_FLOPS * ROWS * LENGTH:
            kept = [_kept(config, how) for how in MEMORIES.values()]
            cells += [f"{1000 * one / ROWS / LENGTH / 2**20:.0f}" for one in kept]
        cells += ["-"] * (len(heads) - 1 - len(cells))
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n" + json.dumps({"benchmark": "presets", "presets": len(PRESETS)}))


def _without_dropout(
    config: ElectraConfig | LanguageModelConfig,
) -> ElectraConfig | LanguageModelConfig:
    def without(shape: ModelConfig) -> ModelConfig:
        return replace(
            shape,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            embedding_dropout_prob=0.0,
            max_position_embeddings=max(LENGTH, shape.max_position_embeddings),
        )

    if isinstance(config, LanguageModelConfig):
        return replace(config, model=without(config.model))
    networks = {name: without(getattr(config, name)) for name in ("generator", "discriminator")}
    return replace(config, **networks)  # type: ignore[arg-type]


def _build(config: ElectraConfig | LanguageModelConfig) -> Model:
    return make_electra(config) if isinstance(config, ElectraConfig) else LanguageModel(config)


def _size(module: nn.Module) -> int:
    sizes = {one.untyped_storage()._cdata: one.numel() for one in module.parameters()}
    return sum(sizes.values())


def _masked() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(ROWS, LENGTH, generator=generator) < 0.15


def _kept(config: ElectraConfig | LanguageModelConfig, how: Callable[[Model], Any]) -> int:
    """Return the bytes that a forward pass keeps for the backward pass."""
    model = _build(config)
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(1000, 20000, (ROWS, LENGTH))
    with how(model), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(ids, masked_positions=_masked())
    del output
    return sum(found.values())


@contextmanager
def _as_it_is(model: Model) -> Iterator[None]:
    yield


@contextmanager
def _activations_kept(model: Model) -> Iterator[None]:
    def forward(block: FeedForward, states: Tensor) -> Tensor:
        activated = F.gelu(block.expand(states), approximate=block.approximate)
        output: Tensor = block.contract(activated)
        return output

    with mock.patch.object(FeedForward, "forward", forward):
        yield


@contextmanager
def _all_logits_at_once(model: Model) -> Iterator[None]:
    def predict(
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        **settings: Any,  # noqa: ANN401
    ) -> Prediction:
        logits = F.linear(features, weight, bias)
        loss = F.cross_entropy(logits, labels, reduction="sum")
        return Prediction(loss, loss.detach().long(), logits.argmax(-1))

    with mock.patch.object(objectives, "predict_vocabulary", predict):
        yield


@contextmanager
def _checkpointed(model: Model) -> Iterator[None]:
    for part in model.modules():
        if isinstance(part, Transformer):
            part.checkpoint_layers = True
    yield


MEMORIES = {
    "MiB per 1,000 tokens": _as_it_is,
    "activations kept": _activations_kept,
    "logits of all masked tokens at once": _all_logits_at_once,
    "layers checkpointed": _checkpointed,
}
