"""A text as the tokens that a model reads."""

from array import array

import torch
from tokenizers import Encoding, Tokenizer

from model.parts import Parts
from pipeline.words.pieces import pieces_of
from train.inference.answers import TextError
from train.inference.loaded import Loaded

CHARACTERS = 16
"""Of a text that is longer than so many for each token that the model takes, the beginning is read
first: it may do, and tokens take 160 times the memory of their text."""
PIECE = 100_000
"""Characters of a long text that are encoded at a time."""


def tokens_of(tokenizer: Tokenizer, text: str, *, is_framed: bool) -> Encoding:
    """Return the tokens of a text, however many.

    Args:
        tokenizer: It does not cut.
        text: What a person wrote.
        is_framed: Whether special tokens are put around it.

    Raises:
        TextError: It has no token of its own, or half of a character.
    """
    _check_characters(text)
    encoding = tokenizer.encode(text, add_special_tokens=is_framed)
    if all(sequence is None for sequence in encoding.sequence_ids):
        raise _no_token(text)
    return encoding


def ids_of(tokenizer: Tokenizer, text: str) -> "array[int]":
    """Return the ids of a text's tokens, however many, without special ones around it.

    They are those of `tokens_of`, in little memory where the text may be cut: 4 bytes a token.

    Raises:
        TextError: As in `tokens_of`.
    """
    _check_characters(text)
    ids = array("i")
    for piece in pieces_of(tokenizer, text, PIECE):
        ids.extend(tokenizer.encode(piece, add_special_tokens=False).ids)
    if not ids:
        raise _no_token(text)
    return ids


def _no_token(text: str) -> TextError:
    what = f"the text {text[:40]!r} has no token" if text.strip() else "the text is empty"
    return TextError(text, what, "give one or more words")


def _check_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        problem = f"character {error.start + 1} is half of one ({text[error.start]!r})"
        raise TextError(text, problem, "write the text in UTF-8") from error


def first_tokens(loaded: Loaded, network: Parts, text: str, *, masks: bool = False) -> Encoding:
    """Return the tokens of a text: all of them, or the first ones where the network takes fewer.

    Args:
        loaded: The model.
        network: The one that is to read it.
        text: What a person wrote.
        masks: Whether "[MASK]" in it stands for a token.

    Raises:
        TextError: The text has no token of its own, or half of a character.
    """
    tokenizer = loaded.masking_tokenizer if masks else loaded.tokenizer
    config = network.transformer.config
    limit, is_framed = config.max_position_embeddings, not config.is_decoder
    size = CHARACTERS * limit
    if size < len(text) and loaded.cuts_at_spaces:
        _check_characters(text)
        while size < len(text):
            beginning = text[: max(0, text.rfind(" ", 0, size))]
            encoding = tokenizer.encode(beginning, add_special_tokens=is_framed)
            if len(encoding.ids) > limit:
                return encoding
            size *= 4
    return tokens_of(tokenizer, text, is_framed=is_framed)


def encode(loaded: Loaded, network: Parts, text: str, *, masks: bool = False) -> Encoding:
    """Return the tokens of a text as the model reads it, special ones around it included.

    Args:
        loaded: The model.
        network: The one that is to read it.
        text: What a person wrote.
        masks: Whether "[MASK]" in it stands for a token.

    Raises:
        TextError: The text has no token of its own, or more than the network takes.
    """
    encoding = first_tokens(loaded, network, text, masks=masks)
    check_length(text, encoding, network, "shorten it")
    return encoding


def check_length(text: str, encoding: Encoding, network: Parts, remedy: str) -> None:
    """Check that a network takes as many tokens as a text has.

    Raises:
        TextError: It does not; the error has this remedy.
    """
    limit = network.transformer.config.max_position_embeddings
    if len(encoding.ids) > limit:
        more = " or more" if len(text) > CHARACTERS * limit else ""
        problem = f"the text has {len(encoding.ids)} tokens{more}, the model takes {limit}"
        raise TextError(text, problem, remedy)


def end_of_text(encoding: Encoding) -> int:
    """Return where the special tokens after a text begin."""
    is_text = [sequence is not None for sequence in encoding.sequence_ids]
    return len(is_text) - is_text[::-1].index(True)


def as_rows(loaded: Loaded, ids: list[int]) -> torch.Tensor:
    """Return one row of tokens (1, T) on the model's device."""
    return torch.tensor([ids], device=loaded.device)
