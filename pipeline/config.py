"""What a person can choose in `fetch`, `tokenize` and `pack`, with checks; nothing heavy."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""In this order they take the ids 0 to 4 of every tokenizer trained here."""
LEAST_VOCABULARY = len(SPECIAL_TOKENS) + 256
"""So that byte-level BPE has each byte."""

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
        if not LEAST_VOCABULARY <= self.vocab_size <= 1 << 20:
            limits = f"between {LEAST_VOCABULARY} and {1 << 20}"
            raise ValueError(f"--vocab-size {self.vocab_size} is not {limits}")
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


MAX_NGRAM = {"ngram": 3, "spans": 10, "tokens": 1}
"""Longest run of each kind of mask: ALBERT (Lan et al. 2020, section 4.1), SpanBERT (Joshi et al.
2020, section 3.1), BERT."""


MASK_PROBABILITY = 0.15
"""Share of a row's tokens, special ones counted, that a mask set may cover (BERT, ALBERT)."""
SHORT_ROW_PROBABILITY = 0.1
"""How often a chunk gets a random smaller target (short_seq_prob of google-research/ALBERT,
create_pretraining_data.py)."""


SENTENCE_LANGUAGES = (
    *("am", "ar", "bg", "bn", "ca", "da", "de", "el", "en", "es", "fi", "fr", "gu", "hi", "hy"),
    *("it", "ja", "kk", "kn", "ml", "mr", "my", "nl", "pa", "pl", "pt", "ru", "sk", "ta", "te"),
    "uk",
)
"""Languages with rules of their own in `sentencex` 1.0.32 (github.com/wikimedia/sentencex,
src/languages). For others it would take a related language's, or English, without saying so."""


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """How documents become rows."""

    layout: Annotated[
        Literal["pairs", "segments", "stream"],
        "pairs: sentence order (ALBERT); segments: two in order (ELECTRA); stream: full rows (GPT)",
    ] = "pairs"
    max_length: Annotated[
        tuple[int, ...], "tokens in a row, special ones included; 128,512 packs both"
    ] = (128,)
    mask: Annotated[
        Literal["ngram", "spans", "tokens"], "runs of 1 to 3 words, of 1 to 10, or single tokens"
    ] = "ngram"
    max_ngram: Annotated[int | None, "longest run of words; the default is the mask's"] = None
    mask_probability: Annotated[float, "share of a row that a mask set covers at most"] = (
        MASK_PROBABILITY
    )
    mask_sets: Annotated[int | None, "independent mask sets a row; an epoch uses one"] = None
    short_row_probability: Annotated[float, "how often a row is made shorter"] = (
        SHORT_ROW_PROBABILITY
    )
    min_document_tokens: Annotated[int, "leave out shorter documents"] = 0
    validation_fraction: Annotated[float, "share of documents kept for validation"] = 0.01
    weights: Annotated[
        tuple[tuple[str, float], ...],
        "how often each source is packed: wikipedia=2,gutenberg=0.5; others once",
    ] = ()
    subword_dropout: Annotated[
        float, "how often a merge or piece is passed over, drawn anew for each word"
    ] = 0.0
    language: Annotated[str, "language by whose rules sentences end"] = "en"
    seed: Annotated[int, "seed of every random choice"] = 0

    def __post_init__(self) -> None:
        if self.max_ngram is None:
            object.__setattr__(self, "max_ngram", MAX_NGRAM[self.mask])
        if self.mask_sets is None:
            object.__setattr__(self, "mask_sets", 0 if self.layout == "stream" else 4)
        _check_rows(self)
        _check_masks(self)
        if not 0 <= self.validation_fraction <= 0.5:
            message = f"--validation-fraction {self.validation_fraction} is not between 0 and 0.5"
            raise ValueError(message)
        _check_weights(self.weights)
        if self.language not in SENTENCE_LANGUAGES:
            nearest = f"choose the nearest of {', '.join(SENTENCE_LANGUAGES)}"
            raise ValueError(f"--language {self.language!r} has no rules for sentences: {nearest}")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"--seed {self.seed} is not between 0 and {(1 << 63) - 1}")

    def plain(self) -> dict[str, Any]:
        """Return the fields as JSON has them, lists as a person writes them."""
        weights = sorted((name, weight) for name, weight in self.weights if weight != 1)
        return {
            **asdict(self),
            "max_length": ",".join(map(str, self.max_length)),
            "weights": ",".join(f"{name}={weight!r}" for name, weight in weights),
        }


def _check_rows(config: PackConfig) -> None:
    lengths = config.max_length
    for length in lengths:
        if not 8 <= length <= 65535:
            raise ValueError(f"--max-length {length} is not between 8 and 65535")
    if not lengths or len(set(lengths)) < len(lengths):
        raise ValueError("--max-length needs one or more lengths, each once")
    if not 0 <= config.short_row_probability <= 1:
        message = f"--short-row-probability {config.short_row_probability} is not between 0 and 1"
        raise ValueError(message)
    if not 0 <= config.subword_dropout < 1:
        raise ValueError(f"--subword-dropout {config.subword_dropout} is not from 0 to below 1")
    if config.min_document_tokens < 0:
        raise ValueError(f"--min-document-tokens {config.min_document_tokens} is below 0")


def _check_stream(config: PackConfig) -> None:
    """Refuse what would mean nothing: a stream has neither masks nor rows of chosen lengths."""
    usual = {field.name: field.default for field in fields(PackConfig)}
    usual |= {"mask_sets": 0, "max_ngram": MAX_NGRAM["ngram"]}
    for name in ("mask_sets", "mask", "max_ngram", "mask_probability", "short_row_probability"):
        if getattr(config, name) != usual[name]:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} is for the layouts pairs and segments, not for a stream")


def _check_weights(weights: tuple[tuple[str, float], ...]) -> None:
    for source, weight in weights:
        if not 0 < weight <= 100:
            raise ValueError(f"--weights {source}={weight:g} is not above 0 and at most 100")
    if len(dict(weights)) < len(weights):
        raise ValueError("--weights names a source twice")


def _check_masks(config: PackConfig) -> None:
    sets, longest = config.mask_sets or 0, config.max_ngram or 0
    if config.layout == "stream":
        _check_stream(config)
    if config.layout != "stream" and not 1 <= sets <= 64:
        raise ValueError(f"--mask-sets {sets} is not between 1 and 64")
    if not 0 < config.mask_probability <= 0.5:
        message = f"--mask-probability {config.mask_probability} is not above 0 and at most 0.5"
        raise ValueError(message)
    most = 1 if config.mask == "tokens" else 100
    if not 1 <= longest <= most:
        message = f"--max-ngram {longest} is not between 1 and {most} for {config.mask}"
        raise ValueError(message)
