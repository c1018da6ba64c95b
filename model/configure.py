"""A preset as the data want it: their vocabulary, their rows, their special tokens."""

from dataclasses import replace
from typing import Any

from model.config import ElectraConfig, LanguageModelConfig
from model.presets import PRESETS


def configure(
    preset: str,
    *,
    vocab_size: int,
    max_position_embeddings: int,
    pad_token_id: int,
    mask_token_id: int,
) -> ElectraConfig | LanguageModelConfig:
    """Return the model that `preset` names, for one vocabulary and row length.

    Args:
        preset: A name in `PRESETS`.
        vocab_size: Tokens in the vocabulary.
        max_position_embeddings: The longest row, in tokens.
        pad_token_id: Id of [PAD].
        mask_token_id: Id of [MASK]; a decoder has no use for it.

    Raises:
        ValueError: `preset` is unknown, or a value is out of range.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}; known are {', '.join(PRESETS)}")
    model = PRESETS[preset].model
    fields: dict[str, Any] = {
        "vocab_size": vocab_size,
        "max_position_embeddings": max_position_embeddings,
        "pad_token_id": pad_token_id,
    }
    if isinstance(model, LanguageModelConfig):
        mask = None if model.model.is_decoder else mask_token_id
        return replace(model, model=replace(model.model, **fields), mask_token_id=mask)
    return replace(
        model,
        generator=replace(model.generator, **fields),
        discriminator=replace(model.discriminator, **fields),
        mask_token_id=mask_token_id,
    )
