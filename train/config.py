"""What a person can choose in `pretrain`, with checks; imports nothing heavy."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from model.config import ElectraConfig, SentenceOrder
from model.presets import PAIRS, PairName

DEFAULT_PRESET: PairName = "home"
Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """How a model is pretrained; `pretrain_config` fills in what the preset says."""

    preset: Annotated[PairName, "networks and defaults"] = DEFAULT_PRESET
    steps: Annotated[int, "updates in the whole run"]
    batch_size: Annotated[int, "rows in an update"]
    learning_rate: Annotated[float, "peak of the schedule"]
    warmup_fraction: float
    sentence_order: Annotated[SentenceOrder, "which networks learn the order of sentences"]
    checkpoint_every: Annotated[int, "updates between checkpoints, with an evaluation each"]
    max_length: Annotated[
        int | None, "which rows to train on, where the shards have several lengths"
    ] = None
    seed: Annotated[int, "seed of every random choice"] = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "checkpoint_every"):
            if not getattr(self, name) > 0:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag} {getattr(self, name)} is not above 0")
        if self.learning_rate > 1:
            raise ValueError(f"--learning-rate {self.learning_rate} is more than 1")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"--seed {self.seed} is not between 0 and {(1 << 63) - 1}")

    @property
    def warmup_steps(self) -> int:
        """Return in how many steps the learning rate rises."""
        return round(self.warmup_fraction * self.steps)


def pretrain_config(preset: PairName = DEFAULT_PRESET, **chosen: Any) -> PretrainConfig:  # noqa: ANN401
    """Return the preset's configuration with the `chosen` fields in place of its own.

    Raises:
        ValueError: The preset is unknown or a value is out of range.
    """
    if preset not in PAIRS:
        raise ValueError(f"--preset {preset} is none of {', '.join(PAIRS)}")
    own = PAIRS[preset]
    model = cast(ElectraConfig, own.model)
    defaults: dict[str, Any] = {
        "steps": own.steps,
        "batch_size": own.batch_size,
        "learning_rate": own.learning_rate,
        "warmup_fraction": own.warmup_fraction,
        "checkpoint_every": own.checkpoint_every,
        "sentence_order": model.sentence_order,
    }
    return PretrainConfig(**(defaults | chosen | {"preset": preset}))
