"""Networks, objectives and training defaults that go together, by name.

Vocabulary, row length and special ids are those of the published models; `configure` puts those of
the data at hand in their place. Training is by AdamW, the rate rising and falling linearly; where
a published schedule is another, the preset says so. What share is masked is settled with the data.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from model.config import ElectraConfig, LanguageModelConfig, ModelConfig, SentenceOrder

MASK_TOKEN_ID = 103  # of BERT's and ELECTRA's published vocabulary
# By hidden size: rows of a step, learning rate, steps; each warms up for 10,000 steps.
ELECTRA_SCHEDULES = {
    256: (128, 5e-4, 1_000_000),
    768: (256, 2e-4, 766_000),
    1024: (2048, 2e-4, 400_000),
}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model and how to train it.

    Args:
        model: The networks and what they learn.
        batch_size: Rows of one step.
        learning_rate: Peak learning rate of AdamW.
        warmup_fraction: Share of the steps in which the learning rate rises linearly.
        steps: Steps of the whole run.
        checkpoint_every: Steps between checkpoints.
    """

    model: ElectraConfig | LanguageModelConfig
    batch_size: int
    learning_rate: float
    warmup_fraction: float
    steps: int
    checkpoint_every: int = 5_000


def _bert(hidden_size: int, layers: int, **changes: Any) -> ModelConfig:  # noqa: ANN401
    """Return a BERT: heads 64 wide, feed-forward four times as wide (google-research/bert)."""
    fields: dict[str, Any] = {
        "vocab_size": 30522,
        "embedding_size": hidden_size,
        "hidden_size": hidden_size,
        "num_hidden_layers": layers,
        "num_hidden_groups": layers,
        "num_attention_heads": hidden_size // 64,
        "intermediate_size": 4 * hidden_size,
        "max_position_embeddings": 512,
    }
    return ModelConfig(**(fields | changes))


def _dropout(probability: float) -> dict[str, float]:
    return {
        "hidden_dropout_prob": probability,
        "attention_probs_dropout_prob": probability,
        "embedding_dropout_prob": probability,
    }


def _shared(hidden_size: int, layers: int, **changes: Any) -> ModelConfig:  # noqa: ANN401
    """Return a BERT with factorized embeddings and one layer for all."""
    return _bert(hidden_size, layers, **({"embedding_size": 128, "num_hidden_groups": 1} | changes))


def _albert(hidden_size: int, layers: int, **changes: Any) -> Preset:  # noqa: ANN401
    """Return an ALBERT (https://arxiv.org/abs/1909.11942, Tables 1 and 14; version 2: no dropout).

    Published for base: LAMB, 4096 rows, 1.76e-3. Here it is a sixteenth of the rows and the square
    root of that of the rate, a guess: no ALBERT is published that AdamW trained so from nothing.
    """
    fields = {"vocab_size": 30000, "hidden_act": "gelu_new", "pad_token_id": 0} | _dropout(0.0)
    return Preset(
        model=LanguageModelConfig(
            model=_shared(hidden_size, layers, **(fields | changes)), mask_token_id=4
        ),
        batch_size=256,
        learning_rate=4.4e-4,
        warmup_fraction=0.025,
        steps=125_000,
    )


def _plain_bert(hidden_size: int, layers: int) -> Preset:
    """Return a BERT that learns sentence order in place of next sentence (ALBERT, section 3.1).

    The schedule is that of base and large (BERT, appendix A.2), at one row length throughout.
    """
    model = LanguageModelConfig(model=_bert(hidden_size, layers), mask_token_id=MASK_TOKEN_ID)
    return Preset(
        model=model, batch_size=256, learning_rate=1e-4, warmup_fraction=0.01, steps=1_000_000
    )


def _pair(
    generator: ModelConfig,
    discriminator: ModelConfig,
    sentence_order: SentenceOrder = "neither",
    tie_embeddings: bool = True,
) -> ElectraConfig:
    return ElectraConfig(
        generator=generator,
        discriminator=discriminator,
        mask_token_id=MASK_TOKEN_ID,
        sentence_order=sentence_order,
        tie_embeddings=tie_embeddings,
    )


def _electra_schedule(model: ElectraConfig, hidden_size: int) -> Preset:
    rows, rate, steps = ELECTRA_SCHEDULES[hidden_size]
    warmup = 10_000 / steps
    return Preset(
        model=model, batch_size=rows, learning_rate=rate, warmup_fraction=warmup, steps=steps
    )


def _electra(hidden_size: int, layers: int, generator_size: int, embedding_size: int) -> Preset:
    """Return an ELECTRA with its generator (electra, `configure_pretraining.py`).

    Published: Adam without bias correction; rows of 128 tokens for small, 512 for the others; for
    large 25 % masked, and a longer run too, of 1.75 million steps.
    """
    generator = _bert(generator_size, layers, embedding_size=embedding_size)
    discriminator = _bert(hidden_size, layers, embedding_size=embedding_size)
    return _electra_schedule(_pair(generator, discriminator), hidden_size)


def _gpt2(hidden_size: int, layers: int, **changes: Any) -> Preset:  # noqa: ANN401
    """Return a GPT-2 (https://github.com/openai/gpt-2, `src/model.py`).

    The schedule is nanoGPT's for the small one; GPT-2's was not published. There the rate falls by
    a cosine to a tenth, beta2 is 0.95, weight decay 0.1, and nothing is dropped.
    """
    fields: dict[str, Any] = {
        "vocab_size": 50257,
        "num_attention_heads": hidden_size // 64,
        "hidden_act": "gelu_new",
        "max_position_embeddings": 1024,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-5,
        "norm_first": True,
        "is_decoder": True,
    }
    return Preset(
        model=LanguageModelConfig(model=_bert(hidden_size, layers, **(fields | changes))),
        batch_size=480,
        learning_rate=6e-4,
        warmup_fraction=2_000 / 600_000,
        steps=600_000,
    )


def _algpt2(hidden_size: int, layers: int) -> Preset:
    """Return a GPT-2 that is shared and factorized as ALBERT is (lm-training-research-project)."""
    return _gpt2(hidden_size, layers, num_hidden_groups=1, embedding_size=128)


def _hybrid(discriminator: ModelConfig, generator: ModelConfig) -> Preset:
    """Return ELECTRA over ALBERT's networks, with sentence order; of no published schedule."""
    return _electra_schedule(_pair(generator, discriminator, "discriminator"), 256)


# ALECTRA-small's generator (lmtuners, experiments/pretrain/train_alectra_small.py).
ALECTRA_GENERATOR = _shared(256, 3, num_attention_heads=1)

HOME = _hybrid(_shared(256, 12), ALECTRA_GENERATOR)
HOME_768 = _hybrid(_shared(768, 12), ALECTRA_GENERATOR)  # the discriminator: ALBERT base's shape
# Its batch, steps and warm-up are lmtuners'; so is not the rate, which is 2e-3 for LAMB there and
# that of ELECTRA small here.
ALECTRA_SMALL = Preset(
    model=_pair(ALECTRA_GENERATOR, _shared(256, 12)),
    batch_size=512,
    learning_rate=5e-4,
    warmup_fraction=0.08,
    steps=500_000,
)
# train-from-home-transformer, config.py: two full networks for 4 GB, nothing shared between them.
# Its schedule, 5 rows a step and the whole run inside the warm-up, is left for that of `home`.
HOME_SEED_NETWORK = _shared(256, 12, embedding_size=64, max_position_embeddings=75)
HOME_SEED = replace(
    HOME, model=_pair(HOME_SEED_NETWORK, HOME_SEED_NETWORK, "both", tie_embeddings=False)
)
# lmtuners, experiments/pretrain/train_electra_small.py; ALBERT's generator in place of BERT's.
ELECTRA_SMALL_17M = replace(
    HOME,
    model=_pair(replace(ALECTRA_GENERATOR, embedding_size=256), _bert(256, 12, embedding_size=256)),
)
# Convolution and landmarks are the authors' (github.com/mlpen/Nystromformer); their rate one-cycle.
NYSTROMFORMER = Preset(
    model=LanguageModelConfig(
        model=_bert(768, 12, attention="nystrom", layer_norm_eps=1e-5, **_dropout(0.0)),
        mask_token_id=MASK_TOKEN_ID,
        sentence_order_weight=0.0,
    ),
    batch_size=256,
    learning_rate=1e-4,
    warmup_fraction=0.01,
    steps=500_000,
)
# Sized to show learning within minutes on two CPU cores; no published counterpart. Weights drawn
# wider than is usual bring the training loss down sooner (tried: .02, .05 and .1); none of them
# brings down the loss at [MASK] alone in that time.
TINY_CHANGES = {"num_attention_heads": 2, "initializer_range": 0.05} | _dropout(0.0)
TINY = Preset(
    model=_pair(_shared(128, 1, **TINY_CHANGES), _shared(128, 4, **TINY_CHANGES), "discriminator"),
    batch_size=16,
    learning_rate=2e-3,
    warmup_fraction=0.1,
    steps=800,
    checkpoint_every=200,
)

# Two CPU cores train it in less than an hour: `docs/results.md`. Meant for `--optimizer muon`.
HOUR_CHANGES = _dropout(0.0) | {"initializer_range": 0.05, "position_initializer": "sinusoids"}
HOUR_NETWORK = _bert(192, 3, embedding_size=128, num_attention_heads=6, **HOUR_CHANGES)
HOUR_GENERATOR = _bert(128, 2, num_attention_heads=4, **HOUR_CHANGES)
HOUR = replace(
    TINY,
    model=_pair(HOUR_GENERATOR, HOUR_NETWORK, "discriminator"),
    batch_size=64,
    learning_rate=3e-3,
    steps=3_200,
    checkpoint_every=200,
)
HOUR_MLM = replace(
    HOUR,
    model=LanguageModelConfig(
        model=HOUR_NETWORK, mask_token_id=MASK_TOKEN_ID, sentence_order_weight=0.0
    ),
)

PairName = Literal[
    "tiny",
    "hour",
    "home",
    "home-768",
    "home-seed",
    "alectra-small",
    "electra-small",
    "electra-small-17m",
    "electra-base",
    "electra-large",
]
PAIRS: dict[PairName, Preset] = {
    "tiny": TINY,
    "hour": HOUR,
    "home": HOME,
    "home-768": HOME_768,
    "home-seed": HOME_SEED,
    "alectra-small": ALECTRA_SMALL,
    "electra-small": _electra(256, 12, 64, 128),
    "electra-small-17m": ELECTRA_SMALL_17M,
    "electra-base": _electra(768, 12, 256, 768),
    "electra-large": _electra(1024, 24, 256, 1024),
}
LANGUAGE_MODELS: dict[str, Preset] = {
    "albert-tiny": _albert(312, 4, num_attention_heads=12),
    "albert-base": _albert(768, 12),
    "albert-large": _albert(1024, 24),
    "albert-xlarge": _albert(2048, 24, num_attention_heads=16),
    "albert-xxlarge": _albert(4096, 12),
    "bert-tiny": _plain_bert(128, 2),
    "bert-mini": _plain_bert(256, 4),
    "bert-small": _plain_bert(512, 4),
    "bert-medium": _plain_bert(512, 8),
    "bert-base": _plain_bert(768, 12),
    "bert-large": _plain_bert(1024, 24),
    "algpt2-small": _algpt2(768, 12),
    "algpt2-medium": _algpt2(1024, 24),
    "algpt2-large": _algpt2(1280, 36),
    "algpt2-xl": _algpt2(1600, 48),
    "gpt2-small": _gpt2(768, 12),
    "nystromformer-base": NYSTROMFORMER,
    "hour-mlm": HOUR_MLM,
}
PRESETS: dict[str, Preset] = dict(PAIRS.items()) | LANGUAGE_MODELS
