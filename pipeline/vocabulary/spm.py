"""A sentencepiece model as a tokenizer with the same ids: Unigram only.

Case is not in the file: ALBERT folds it before. A file without capital letters takes ALBERT's form
(quotation marks, NFKD, accents, case), any other one its own normalization alone. The ids are those
of sentencepiece, but for two things in a text: a control symbol, as "<pad>", becomes itself here as
in `transformers`, there it is unknown; and U+0085 separates words here, there it is unknown.
"""

from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers

from pipeline.vocabulary.train import albert_tokenizer
from shards.errors import DataError

METASPACE = "\N{LOWER ONE EIGHTH BLOCK}"
UNIGRAM = 1
UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 2, 3, 4, 5, 6
"""Types of models and of pieces in sentencepiece_model.proto of google/sentencepiece."""


def read_spm(path: Path) -> tuple[Tokenizer, list[str]]:
    """Return a tokenizer of the model, and its control symbols, the unknown piece among them.

    Raises:
        DataError: The package is not installed, or the file is no model that can be equalled.
    """
    model = _parse(path)
    if problem := _what_differs(model):
        raise DataError(f"{path} {problem}", "choose another vocabulary, or train one")
    vocabulary = [(piece.piece, piece.score) for piece in model.pieces]
    unigram = models.Unigram(vocabulary, unk_id=model.trainer_spec.unk_id)
    own = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    if is_uncased([piece for piece, _ in vocabulary if not piece.startswith(("[", "<"))]):
        tokenizer = albert_tokenizer(unigram, lowercase=True, more=(own,))
    else:
        tokenizer = albert_tokenizer(unigram, lowercase=False)
        spaces = normalizers.Replace(Regex(" {2,}"), " ")
        tokenizer.normalizer = normalizers.Sequence([own, spaces])
    special = [piece.piece for piece in model.pieces if piece.type in (UNKNOWN, CONTROL)]
    return tokenizer, special


def _parse(path: Path) -> Any:  # noqa: ANN401 - a class made at run time from its description
    try:
        from google.protobuf.message import DecodeError
        from sentencepiece import sentencepiece_model_pb2
    except ImportError as error:
        problem = f"{path} takes the packages sentencepiece and protobuf ({error})"
        raise DataError(problem, "run `python -m pip install 'hearth[spm]'`") from error
    model: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        problem = f"{path} is not a whole sentencepiece model ({error})"
        raise DataError(problem, "fetch or copy it again") from error
    if not (model.pieces and model.HasField("trainer_spec") and model.HasField("normalizer_spec")):
        problem = f"{path} is not a whole sentencepiece model: it lacks pieces or their settings"
        raise DataError(problem, "fetch or copy it again")
    return model


def _what_differs(model: Any) -> str | None:  # noqa: ANN401
    """Return what of a model cannot be equalled with `tokenizers`, or None."""
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    pieces = [piece.piece for piece in model.pieces]
    symbols = {piece.piece for piece in model.pieces if piece.type == USER_DEFINED}
    if trainer.model_type != UNIGRAM:
        return "is no Unigram model"
    if len(set(pieces)) < len(pieces) or not 0 <= trainer.unk_id < len(pieces):
        return "repeats a piece or has no unknown piece"
    if trainer.byte_fallback or any(piece.type == BYTE for piece in model.pieces):
        return "falls back to bytes, which is not supported"
    if any(piece.type == UNUSED for piece in model.pieces):
        return "has unused pieces, which is not supported"
    if trainer.treat_whitespace_as_suffix or not (
        normalizer.add_dummy_prefix
        and normalizer.remove_extra_whitespaces
        and normalizer.escape_whitespaces
        and normalizer.precompiled_charsmap
    ):
        return "treats white space in a way that is not supported"
    if any(METASPACE in piece[1:] for piece in pieces):
        return "has pieces of several words, which is not supported"
    # A symbol always stands alone: true of a piece that is one character and part of no other.
    if any(len(symbol) > 1 for symbol in symbols) or any(
        len(piece) > 1 and not symbols.isdisjoint(piece) for piece in pieces
    ):
        return "has user-defined symbols that are part of other pieces, which is not supported"
    return None


def is_uncased(entries: list[str]) -> bool:
    """Return whether no entry has a capital letter."""
    return all(entry == entry.lower() for entry in entries)
