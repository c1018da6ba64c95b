"""A long text in pieces whose tokens, one piece after another, are those of the whole."""

from collections.abc import Iterator

from tokenizers import Tokenizer

from pipeline.words.cuts import BREAK, PLANE, SPACE, UNKNOWN, Bytes
from pipeline.words.rules import Unsupported, learn_rules


def pieces_of(tokenizer: Tokenizer, text: str, size: int) -> Iterator[str]:
    """Yield a text in pieces of `size` characters, and those up to where it may be cut.

    It is cut before a space between two known characters, which no style of `pipeline.words.cuts`
    joins across the space. Where there is none, or the tokenizer is not understood, a piece is all
    that is left.
    """
    classes = _classes_of(tokenizer) if size < len(text) else None
    begin = 0
    while begin < len(text):
        end = len(text) if classes is None else _next_cut(text, begin + size, classes)
        yield text[begin:end]
        begin = end


def _classes_of(tokenizer: Tokenizer) -> Bytes | None:
    """Return the classes of characters, or None where it is not known how texts are cut."""
    try:
        return learn_rules(tokenizer).classes
    except Unsupported:
        return None


def _next_cut(text: str, at: int, classes: Bytes) -> int:
    """Return where a text may first be cut from `at` on, which is above 0, or its end."""
    while (at := text.find(" ", at, len(text) - 1)) >= 0:
        if _is_plain(text[at - 1], classes) and _is_plain(text[at + 1], classes):
            return at
        at += 1
    return len(text)


def _is_plain(character: str, classes: Bytes) -> bool:
    """Return whether a character is known, and no white space."""
    code = ord(character)
    return code < PLANE and classes[code] not in (UNKNOWN, SPACE, BREAK)
