"""How text is generated; nothing heavy is imported here."""

import math
from dataclasses import dataclass
from typing import Annotated

NEW_TOKENS = 50
"""Tokens to add at most, where nobody says."""
LEAST_TEMPERATURE = 1e-6
"""Below it logits grow beyond what float32 holds, and the likeliest token is as good as certain."""
MOST_BEAMS = 256
"""Each keeps the keys and values of all its tokens, and logits of the whole vocabulary."""


@dataclass(frozen=True, kw_only=True)
class GenerateSettings:
    """Without any of temperature, top_k and top_p the likeliest token is taken each time (greedy).

    Raises:
        ValueError: A value is out of range or two do not go together.
    """

    max_new_tokens: Annotated[
        int | None,
        "tokens to add at most, or [MASK]s where TEXT has none  [default: 50, or what a masked "
        "model has room for]",
    ] = None
    temperature: Annotated[
        float | None, "draw tokens, the unlikely ones oftener above 1, seldomer below it"
    ] = None
    top_k: Annotated[int | None, "draw tokens, from so many likeliest ones"] = None
    top_p: Annotated[
        float | None, "draw tokens, from the likeliest ones that have this probability together"
    ] = None
    num_beams: Annotated[int, "beam search: texts to follow at once"] = 1
    length_penalty: Annotated[
        float | None, "beam search: above 0 long texts gain, below it short ones  [default: 1]"
    ] = None
    rounds: Annotated[
        int | None, "masked models: times to fill in, each time fewer  [default: 10]"
    ] = None
    seed: Annotated[int | None, "draws the same tokens again  [default: 0]"] = None

    def __post_init__(self) -> None:
        self._check_ranges()
        if self.draws and self.num_beams > 1:
            raise ValueError("num_beams searches, temperature, top_k and top_p draw: choose one")
        if self.length_penalty is not None and self.num_beams == 1:
            raise ValueError("length_penalty is of beam search: give num_beams too")
        if self.seed is not None and not self.draws:
            raise ValueError("seed is of drawing: give temperature, top_k or top_p too")

    def _check_ranges(self) -> None:
        for name in ("max_new_tokens", "top_k", "num_beams", "rounds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if self.num_beams > MOST_BEAMS:
            why = "each keeps what it has read in memory"
            raise ValueError(f"num_beams is {self.num_beams}; at most {MOST_BEAMS}: {why}")
        if self.temperature is not None and not LEAST_TEMPERATURE <= self.temperature < math.inf:
            raise ValueError(
                f"temperature is {self.temperature}; it must be finite and at least "
                f"{LEAST_TEMPERATURE}, or left out to take the likeliest token"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; it must be from 0 to 2^63 - 1")
        if self.length_penalty is not None and not -10 <= self.length_penalty <= 10:
            raise ValueError(f"length_penalty is {self.length_penalty}; it must be from -10 to 10")

    @property
    def new_tokens(self) -> int:
        """Return the tokens to add at most."""
        return NEW_TOKENS if self.max_new_tokens is None else self.max_new_tokens

    @property
    def draws(self) -> bool:
        """Return whether tokens are drawn."""
        return any(one is not None for one in (self.temperature, self.top_k, self.top_p))

    @property
    def is_for_decoders(self) -> bool:
        """Return whether something is chosen that only a causal model does."""
        return self.draws or self.num_beams > 1
