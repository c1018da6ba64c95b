"""What a person can choose in `tokenize` and `pack`, with checks; imports nothing heavy."""

from dataclasses import dataclass
from typing import Annotated, Literal

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""In this order they take the ids 0 to 4 of every tokenizer trained here."""


@dataclass(frozen=True, kw_only=True)
class TokenizeConfig:
    """How a tokenizer is trained."""

    type: Annotated[Literal["wordpiece", "bpe"], "WordPiece, or byte-level BPE"] = "wordpiece"
    vocab_size: Annotated[int, "entries, special tokens included"] = 30522
    lowercase: Annotated[
        bool | None, "fold case and strip accents; by default yes for wordpiece, no for bpe"
    ] = None

    def __post_init__(self) -> None:
        if self.lowercase is None:
            object.__setattr__(self, "lowercase", self.type == "wordpiece")
        smallest = len(SPECIAL_TOKENS) + 256
        if not smallest <= self.vocab_size <= 1 << 20:
            message = f"--vocab-size {self.vocab_size} is not between {smallest} and {1 << 20}"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """How documents become rows."""

    max_length: Annotated[int, "tokens in a row, special tokens included"] = 128
    mask_sets: Annotated[int, "independent mask sets a row; an epoch uses one"] = 4
    validation_fraction: Annotated[float, "share of documents kept for validation"] = 0.01
    seed: Annotated[int, "seed of every random choice"] = 0

    def __post_init__(self) -> None:
        if not 8 <= self.max_length <= 65535:
            raise ValueError(f"--max-length {self.max_length} is not between 8 and 65535")
        if not 1 <= self.mask_sets <= 64:
            raise ValueError(f"--mask-sets {self.mask_sets} is not between 1 and 64")
        if not 0 <= self.validation_fraction <= 0.5:
            message = f"--validation-fraction {self.validation_fraction} is not between 0 and 0.5"
            raise ValueError(message)
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"--seed {self.seed} is not between 0 and {(1 << 63) - 1}")
