"""Checks that several configurations have in common; each raises a ValueError with the field."""

import math
from typing import Any


def check_weights(config: Any, names: tuple[str, ...]) -> None:  # noqa: ANN401
    """Refuse weights of losses that are not finite or are below 0."""
    for name in names:
        if not 0 <= getattr(config, name) < math.inf:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be finite and >= 0")


def check_shares(config: Any, names: tuple[str, ...]) -> None:  # noqa: ANN401
    """Refuse shares outside 0 to 1."""
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be in [0, 1]")


def check_divides(config: Any, part: str, whole: str) -> None:  # noqa: ANN401
    """Refuse a part that does not divide the whole."""
    divisor, dividend = getattr(config, part), getattr(config, whole)
    if dividend % divisor:
        raise ValueError(f"{part} is {divisor}, which does not divide {whole}, {dividend}")


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of those known."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}; known are {', '.join(known)}")


def check_token(name: str, token_id: int, vocab_size: int) -> None:
    """Refuse an id outside the vocabulary."""
    if not 0 <= token_id < vocab_size:
        raise ValueError(f"{name} is {token_id}, outside the vocabulary of {vocab_size} tokens")
