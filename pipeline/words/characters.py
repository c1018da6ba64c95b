"""What each character does in a text, learnt by asking the tokenizer about every one of them.

That takes a second of a core, which each process would pay; so what was learnt is kept in a file.
"""

import json
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.words import cuts
from pipeline.words.kept import Arrays, keep
from pipeline.words.spelling import NOT_HERE, Fold
from pipeline.words.unigram import METASPACE

SURROGATES = range(0xD800, 0xE000)
CHARACTERS = [chr(code) for code in range(cuts.PLANE) if code not in SURROGATES]
CODES = np.array([ord(character) for character in CHARACTERS])
ALONE = [
    *(range(0x590), range(0x1E00, 0x2C00), range(0x3000, 0x3100), range(0x4E00, 0xA000)),
    range(0xAC00, 0xD7A4),
]
"""Characters that compose with no character of these ranges, and form no cluster with one: no
jamo of Hangul, no joiners, no vowel signs (Unicode Standard Annexes 15 and 29)."""
QUOTES = ("``", "''")
"""Two characters that ALBERT's tokenizer makes one of (tokenization_albert.py of transformers)."""
GROWTH = 3
"""Times its bytes that a character may take when normalized; half a dozen take more."""


class Characters(NamedTuple):
    """What a tokenizer does with the characters of Unicode's first plane.

    Attributes:
        classes: (65536,) uint8, by `pipeline.words.cuts`.
        fold: What becomes of each before it is spelt.
    """

    classes: NDArray[np.uint8]
    fold: Fold


def learn_characters(parts: Mapping[str, Any], style: int) -> Characters:
    """Return what a tokenizer, given as its JSON, does with characters."""
    named = {name: parts[name] for name in ("normalizer", "pre_tokenizer")}
    return _learn(json.dumps(named), style)


@lru_cache(maxsize=8)
def _learn(parts: str, style: int) -> Characters:
    """Return what a tokenizer of these parts does; vocabularies do not matter."""
    libraries = (tokenizers.__version__, unicodedata.unidata_version)
    key = repr((Path(__file__).read_bytes(), libraries, parts, style))
    classes, *fold = keep(key, lambda: _ask(parts, style))
    return Characters(classes, Fold(*fold))


def _ask(parts: str, style: int) -> Arrays:
    """Ask a tokenizer of these parts; return the classes, and the arrays of the fold."""
    model = {"type": "WordLevel", "vocab": {}, "unk_token": ""}
    rest: dict[str, Any] = {
        "version": "1.0",
        "model": model,
        "added_tokens": [],
        "post_processor": None,
    }
    tokenizer = Tokenizer.from_str(json.dumps({**rest, "decoder": None, **json.loads(parts)}))
    normal = CHARACTERS
    if tokenizer.normalizer is not None:
        normal = [tokenizer.normalizer.normalize_str(character) for character in CHARACTERS]
    if style == cuts.WORDS:
        classes = _word_classes(tokenizer, normal)
        normal = [text.strip() for text in normal]  # a Chinese character gets blanks around it
    elif style == cuts.BYTES:
        classes = _byte_classes(tokenizer, normal)
    else:
        classes = _spaced_classes(normal)
    return [classes, *_fold(normal, classes, style)]


def _fold(normal: list[str], classes: NDArray[np.uint8], style: int) -> Fold:
    texts = [text.encode() for text in normal]
    sizes = np.array([len(text) for text in texts])
    is_here = (classes[CODES] != cuts.UNKNOWN) & (sizes > 0)
    is_here &= sizes <= GROWTH * np.array([len(character.encode()) for character in CHARACTERS])
    if style != cuts.BYTES:
        is_here &= ~np.array([any(map(str.isspace, text)) for text in normal])
    if style == cuts.SPACED:  # its normalizers compose characters
        is_here &= np.isin(CODES, np.concatenate([np.array(some) for some in ALONE]))
    first, lengths = np.zeros(cuts.PLANE, np.int32), np.full(cuts.PLANE, NOT_HERE, np.uint8)
    first[CODES] = np.cumsum(sizes) - sizes
    lengths[CODES[is_here]] = sizes[is_here]
    shy, marks = np.zeros((2, cuts.PLANE), np.bool_)
    quotes = set("".join(QUOTES))
    shy[CODES] = [not quotes.isdisjoint(text) for text in normal]
    marks[CODES] = [not character.isalnum() for character in CHARACTERS]
    text = np.frombuffer(b"".join(texts), np.uint8).copy()
    return Fold(first, lengths, text, shy, marks)


def _is_combining(character: str) -> bool:
    """Return whether a character combines with the one before it."""
    return unicodedata.category(character)[0] == "M" or unicodedata.combining(character) != 0


def _table(found: list[int]) -> NDArray[np.uint8]:
    classes = np.zeros(cuts.PLANE, np.uint8)
    classes[CODES] = found
    return classes


def _word_classes(tokenizer: Tokenizer, normal: list[str]) -> NDArray[np.uint8]:
    """Ask what becomes of each character between two letters."""
    probe = " ".join(f"a{text}a" for text in normal)
    piece = np.full(len(probe), -1, np.int64)
    for number, (_, (begin, end)) in enumerate(tokenizer.pre_tokenizer.pre_tokenize_str(probe)):
        piece[begin:end] = number
    pieces = piece.tolist()
    found = []
    at = 0
    for character, text in zip(CHARACTERS, normal, strict=True):
        inner = pieces[at + 1 : at + 1 + len(text)]
        left, right = pieces[at], pieces[at + 1 + len(text)]
        at += len(text) + 3
        within = {number for number in inner if number >= 0}
        if not text or _is_combining(character):
            found.append(cuts.UNKNOWN)
        elif left == right:
            found.append(cuts.LETTER)
        elif not within:
            found.append(cuts.SPACE)
        elif len(within) == 1 and within.isdisjoint((left, right)):
            found.append(cuts.MARK)
        else:
            found.append(cuts.UNKNOWN)
    return _table(found)


def _byte_classes(tokenizer: Tokenizer, normal: list[str]) -> NDArray[np.uint8]:
    """Ask whether each character is in one pre-token with a letter, a number or a mark before."""
    raw = np.zeros(cuts.PLANE, np.uint8)
    for kind, first in ((cuts.LETTER, "a"), (cuts.NUMBER, "1"), (cuts.MARK, "!")):
        probe = " ".join(first + character for character in CHARACTERS)
        begins = np.zeros(len(probe) + 1, np.bool_)
        begins[[start for _, (start, _) in tokenizer.pre_tokenizer.pre_tokenize_str(probe)]] = True
        is_joined = ~begins[1 : 3 * len(CHARACTERS) : 3]
        raw[CODES[is_joined]] = kind
    for character in filter(str.isspace, CHARACTERS):
        if raw[ord(character)] == cuts.UNKNOWN:
            raw[ord(character)] = cuts.BREAK
    raw[ord(" ")] = cuts.SPACE
    raw[ord("'")] = cuts.APOSTROPHE if normal is CHARACTERS else cuts.FOLDED_APOSTROPHE
    if normal is CHARACTERS:
        return raw
    found = []
    for character, text in zip(CHARACTERS, normal, strict=True):
        kinds = {int(raw[ord(one)]) if ord(one) < cuts.PLANE else cuts.UNKNOWN for one in text}
        is_single = len(kinds) == 1 and not _is_combining(character)
        found.append(kinds.pop() if is_single else cuts.UNKNOWN)
    return _table(found)


def _spaced_classes(normal: list[str]) -> NDArray[np.uint8]:
    found = []
    for character, text in zip(CHARACTERS, normal, strict=True):
        is_simple = (
            text != ""
            and unicodedata.category(character)[0] in "LNPS"
            and not _is_combining(text[0])
            and METASPACE not in text
            and not any(map(str.isspace, text))
        )
        found.append(cuts.LETTER if is_simple else cuts.UNKNOWN)
    classes = _table(found)
    classes[ord(" ")] = cuts.SPACE
    return classes
