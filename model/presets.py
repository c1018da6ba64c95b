"""Sizes and training defaults that go together, by name."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from model.config import ElectraConfig, ModelConfig, SentenceOrder


@dataclass(frozen=True, kw_only=True)
class EncoderSize:
    """What tells the two encoders of an ELECTRA pair apart; layers are shared (one group)."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int


@dataclass(frozen=True, kw_only=True)
class Preset:
    """An ELECTRA pair and how to train it.

    Args:
        embedding_size: Width of the embeddings that both networks share.
        generator: Size of the generator.
        discriminator: Size of the discriminator.
        dropout: Dropout everywhere.
        initializer_range: Standard deviation that weights are drawn with.
        batch_size: Rows of one step.
        learning_rate: Peak learning rate of AdamW.
        warmup_fraction: Share of the steps in which the learning rate rises linearly.
        steps: Steps of the whole run.
        checkpoint_every: Steps between checkpoints.
    """

    embedding_size: int
    generator: EncoderSize
    discriminator: EncoderSize
    dropout: float
    initializer_range: float
    batch_size: int
    learning_rate: float
    warmup_fraction: float
    steps: int
    checkpoint_every: int


# ALECTRA-small's generator (lmtuners, experiments/pretrain/train_alectra_small.py).
ALECTRA_GENERATOR = EncoderSize(
    hidden_size=256, num_hidden_layers=3, num_attention_heads=1, intermediate_size=1024
)

# ALECTRA-small's networks with ELECTRA-small's schedule (electra, configure_pretraining.py).
HOME = Preset(
    embedding_size=128,
    generator=ALECTRA_GENERATOR,
    discriminator=EncoderSize(
        hidden_size=256, num_hidden_layers=12, num_attention_heads=4, intermediate_size=1024
    ),
    dropout=0.1,
    initializer_range=0.02,
    batch_size=128,
    learning_rate=5e-4,
    warmup_fraction=0.01,
    steps=1_000_000,
    checkpoint_every=5_000,
)
# The discriminator has the shape of ALBERT base.
HOME_768 = replace(
    HOME,
    discriminator=EncoderSize(
        hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072
    ),
)
# Sized to show learning within minutes on two CPU cores; no published counterpart. Weights drawn
# wider than is usual bring the training loss down sooner (tried: .02, .05 and .1); none of them
# brings down the loss at [MASK] alone in that time.
TINY = Preset(
    embedding_size=128,
    generator=EncoderSize(
        hidden_size=128, num_hidden_layers=1, num_attention_heads=2, intermediate_size=512
    ),
    discriminator=EncoderSize(
        hidden_size=128, num_hidden_layers=4, num_attention_heads=2, intermediate_size=512
    ),
    dropout=0.0,
    initializer_range=0.05,
    batch_size=16,
    learning_rate=2e-3,
    warmup_fraction=0.1,
    steps=800,
    checkpoint_every=200,
)

PresetName = Literal["tiny", "home", "home-768"]
PRESETS: dict[PresetName, Preset] = {"tiny": TINY, "home": HOME, "home-768": HOME_768}


def electra_config(
    preset: PresetName,
    *,
    vocab_size: int,
    max_position_embeddings: int,
    pad_token_id: int,
    mask_token_id: int,
    sentence_order: SentenceOrder = "discriminator",
) -> ElectraConfig:
    """Return the pair that `preset` names, for one vocabulary and row length.

    Args:
        preset: A name in `PRESETS`.
        vocab_size: Tokens in the vocabulary.
        max_position_embeddings: The longest row, in tokens.
        pad_token_id: Id of [PAD].
        mask_token_id: Id of [MASK].
        sentence_order: Which networks learn the order of sentences.

    Raises:
        ValueError: `preset` is unknown, or a value is out of range.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}; known are {', '.join(PRESETS)}")
    chosen = PRESETS[preset]
    shared: dict[str, Any] = {
        "vocab_size": vocab_size,
        "embedding_size": chosen.embedding_size,
        "hidden_dropout_prob": chosen.dropout,
        "attention_probs_dropout_prob": chosen.dropout,
        "initializer_range": chosen.initializer_range,
        "max_position_embeddings": max_position_embeddings,
        "pad_token_id": pad_token_id,
    }
    return ElectraConfig(
        generator=ModelConfig(**asdict(chosen.generator), **shared),
        discriminator=ModelConfig(**asdict(chosen.discriminator), **shared),
        mask_token_id=mask_token_id,
        sentence_order=sentence_order,
    )
