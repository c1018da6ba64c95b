"""What a person can choose in `fetch`, `tokenize` and `pack`, with checks; nothing heavy."""

import re
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""In this order they take the ids 0 to 4 of every tokenizer trained here."""


SIZE = "size"
"""Marks a field in bytes, whose flag takes 100MB or 4GB."""
SIZE_OR_ALL = "size or all"
"""Marks one whose flag takes `all` too, which is `ALL` and then None."""
ALL = 0

LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][a-z]{2,12}){0,2}")
"""Names of Wikipedias, as in zh_min_nan."""
DATE = re.compile(r"latest|20[0-9]{6}")


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """What is fetched, and how it is read."""

    language: Annotated[str, "Wikipedia's language: en, simple, de, ..."] = "en"
    date: Annotated[str, "Wikipedia's dump: latest or YYYYMMDD"] = "latest"
    text_field: Annotated[str, "field or column of .jsonl and .parquet that holds the text"] = (
        "text"
    )
    limit: Annotated[int | None, "stop after about so much text, such as 100MB", SIZE] = None
    max_member_size: Annotated[int, "refuse what unpacks to more than this", SIZE] = 4 * 10**9

    def __post_init__(self) -> None:
        if not LANGUAGE.fullmatch(self.language):
            raise ValueError(f"--language {self.language!r} is no name such as en or simple")
        if not DATE.fullmatch(self.date):
            raise ValueError(f"--date {self.date!r} is neither latest nor YYYYMMDD")


@dataclass(frozen=True, kw_only=True)
class TokenizeConfig:
    """How a tokenizer is trained."""

    type: Annotated[
        Literal["wordpiece", "bpe", "unigram"],
        "BERT's WordPiece, GPT-2's byte-level BPE, or ALBERT's Unigram",
    ] = "wordpiece"
    vocab_size: Annotated[int, "entries, special tokens included"] = 30522
    lowercase: Annotated[
        bool | None, "fold case and strip accents; by default no for bpe, as a file to import says"
    ] = None
    sample: Annotated[
        int | None, "text to train on, drawn evenly over the sources; or all", SIZE_OR_ALL
    ] = 10**9
    pad_to_multiple_of: Annotated[
        int, "round the vocabulary up with unused entries; 8 suits GPUs"
    ] = 1

    def __post_init__(self) -> None:
        if self.lowercase is None:
            object.__setattr__(self, "lowercase", self.type != "bpe")
        if self.sample == ALL:
            object.__setattr__(self, "sample", None)
        smallest = len(SPECIAL_TOKENS) + 256
        if not smallest <= self.vocab_size <= 1 << 20:
            message = f"--vocab-size {self.vocab_size} is not between {smallest} and {1 << 20}"
            raise ValueError(message)
        _check_padding(self.pad_to_multiple_of)


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """How a tokenizer made elsewhere is taken over."""

    lowercase: bool | None = None
    """Whether case is folded; None: as the file says, or shows."""
    pad_to_multiple_of: int = 1

    def __post_init__(self) -> None:
        _check_padding(self.pad_to_multiple_of)


def import_config(**options: Any) -> ImportConfig:  # noqa: ANN401
    """Make an `ImportConfig` of the options of a `TokenizeConfig` that were given.

    Raises:
        ValueError: One of them is about training.
    """
    for name in options.keys() - {field.name for field in fields(ImportConfig)}:
        raise ValueError(
            f"--{name.replace('_', '-')} is for training, not for --import: leave it out"
        )
    return ImportConfig(**options)


def _check_padding(multiple: int) -> None:
    if not 1 <= multiple <= 1024:
        raise ValueError(f"--pad-to-multiple-of {multiple} is not between 1 and 1024")


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
