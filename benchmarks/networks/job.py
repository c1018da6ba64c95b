"""What both sides compute: ELECTRA-small without dropout, over rows drawn from fixed seeds."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.config import ElectraConfig, ModelConfig
from model.flops import BatchSize
from model.presets import PAIRS


@dataclass(frozen=True)
class Job:
    """What both sides compute.

    Attributes:
        rows: In a batch.
        length: Places of a row.
        fill: Share of places that hold tokens.
        threads: Of torch.
    """

    rows: int
    length: int
    fill: float
    threads: int

    def batch(self, number: int) -> dict[str, Tensor]:
        """Return a batch drawn from a seed of its own: rows of varied lengths, 15 % masked."""
        generator = torch.Generator().manual_seed(number)
        shape = self.rows, self.length
        low = max(2, round((2 * self.fill - 1) * self.length))
        lengths = torch.randint(low, self.length + 1, (self.rows,), generator=generator)
        mask = torch.arange(self.length) < lengths[:, None]
        masked = (torch.rand(shape, generator=generator) < 0.15) & mask
        return {
            "input_ids": torch.randint(1000, 30522, shape, generator=generator) * mask,
            "attention_mask": mask.long(),
            "token_type_ids": torch.zeros(shape, dtype=torch.long),
            "masked_positions": masked,
        }

    def size(self, number: int) -> BatchSize:
        """Return how much there is to compute in a batch."""
        batch = self.batch(number)
        counts = (int(batch[name].sum()) for name in ("attention_mask", "masked_positions"))
        return BatchSize(self.rows, self.length, *counts)


def electra_small() -> ElectraConfig:
    """Return ELECTRA-small without dropout."""
    config = PAIRS["electra-small"].model
    if not isinstance(config, ElectraConfig):
        raise TypeError(f"electra-small is a {type(config).__name__}")
    return replace(
        config,
        mask_replace_prob=1.0,
        generator=_without_dropout(config.generator),
        discriminator=_without_dropout(config.discriminator),
    )


def _without_dropout(config: ModelConfig) -> ModelConfig:
    return replace(
        config,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        embedding_dropout_prob=0.0,
    )
