"""One small model of each family, by name; what a test does with all of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from model.backbones import Tapped, tapped_generator, tapped_head
from model.config import ElectraConfig, ElectraObjective, LanguageModelConfig, ModelConfig
from model.electra import Electra, make_electra
from model.language_model import LanguageModel
from model.network import Network
from tests.model.conftest import MASK, MICRO


def language_model(shape: ModelConfig = MICRO, **changes: Any) -> LanguageModel:
    mask = None if shape.is_decoder else MASK
    return LanguageModel(LanguageModelConfig(model=shape, mask_token_id=mask, **changes))


def pair(**changes: Any) -> Electra:
    shape = replace(MICRO, num_hidden_groups=2, hidden_dropout_prob=0.1)
    return make_electra(
        ElectraConfig(
            generator=MICRO, discriminator=shape, mask_token_id=MASK, sentence_order="both"
        )
    )


def own_pair() -> Electra:
    """Two networks of the user's own: one gives logits, one is tapped."""
    encoder = nn.ModuleDict({"words": nn.Embedding(40, 8), "layers": nn.ModuleList([nn.Tanh()])})
    encoder.forward = lambda input_ids, **_: encoder["layers"][0](encoder["words"](input_ids))
    generator = Network(Tapped(encoder, 0, "words"), tapped_generator(tapped_head(8, 40, 8)))
    other = nn.Embedding(40, 1)
    other.forward = lambda input_ids, **_: nn.functional.embedding(input_ids, other.weight)
    return Electra(generator, other, ElectraObjective(mask_token_id=MASK))


def checkpointed() -> LanguageModel:
    model = language_model()
    model.network.backbone.checkpoint_layers = True
    return model


GPT2 = {"norm_first": True, "is_decoder": True, "type_vocab_size": 0}
FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "albert": language_model,
    "bert": lambda: language_model(replace(MICRO, num_hidden_groups=4, embedding_size=16)),
    "gpt2": lambda: language_model(replace(MICRO, **GPT2)),
    "electra": pair,
    "own": own_pair,
    "nystrom": lambda: language_model(replace(MICRO, attention="nystrom", num_landmarks=8)),
    "local": lambda: language_model(replace(MICRO, attention="local", local_attention=4)),
    "spanbert": lambda: language_model(span_boundary_weight=1.0),
    "checkpointed": checkpointed,
}


def run(model: nn.Module, batch: dict[str, Any]) -> list[Tensor]:
    """Return losses, counts and gradients."""
    torch.manual_seed(1)
    model.zero_grad()
    output = model(**batch)
    model.loss(output, model.count(**batch)).backward()
    gradients = [one.grad for one in model.parameters() if one.grad is not None]
    return [*output.losses.values(), *output.counts.values(), *gradients]
