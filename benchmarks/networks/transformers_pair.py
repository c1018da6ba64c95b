"""The loop that people write with `transformers`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ElectraConfig as Shape
from transformers import ElectraForMaskedLM, ElectraForPreTraining

from benchmarks.networks.job import electra_small
from model.config import ModelConfig

SHARED_FIELDS = (
    *("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),
)


def make_pair() -> tuple[nn.Module, nn.Module]:
    """Return a generator and a discriminator with one module of embeddings."""

    def shape(config: ModelConfig) -> Any:  # noqa: ANN401
        fields: dict[str, Any] = {name: getattr(config, name) for name in SHARED_FIELDS}
        return Shape(**fields | {"attn_implementation": "sdpa"})

    config = electra_small()
    generator = ElectraForMaskedLM(shape(config.generator))
    discriminator = ElectraForPreTraining(shape(config.discriminator))
    discriminator.electra.embeddings = generator.electra.embeddings
    return generator, discriminator


def losses_of(
    networks: tuple[nn.Module, nn.Module], batch: dict[str, Tensor], mask_token_id: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return both losses, and what the discriminator read."""
    generator, discriminator = networks
    ids, masked = batch["input_ids"], batch["masked_positions"]
    named = {name: batch[name] for name in ("attention_mask", "token_type_ids")}
    hidden = ids.masked_fill(masked, mask_token_id)
    guess = generator(input_ids=hidden, labels=ids.masked_fill(~masked, -100), **named)
    with torch.no_grad():
        drawn = torch.multinomial(guess.logits[masked].softmax(-1), 1).squeeze(1)
        read = ids.masked_scatter(masked, drawn)
    verdict = discriminator(input_ids=read, labels=(read != ids).long(), **named)
    return guess.loss, verdict.loss, read


def start_step() -> Callable[[dict[str, Tensor]], None]:
    """Return a forward and a backward pass over a batch, ready to be done."""
    networks, config = make_pair(), electra_small()

    def step(batch: dict[str, Tensor]) -> None:
        for network in networks:
            network.zero_grad()
        generated, judged, _ = losses_of(networks, batch, config.mask_token_id)
        loss = config.generator_weight * generated + config.discriminator_weight * judged
        loss.backward()  # type: ignore[no-untyped-call]

    return step
