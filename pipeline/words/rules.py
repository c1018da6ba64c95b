"""The rules of a tokenizer, learnt by asking it: classes of characters, and its vocabulary."""

import json
import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.words import cuts
from pipeline.words.columnar import Rules
from pipeline.words.models import (
    NOT_HERE,
    Merges,
    WordPieces,
    make_pieces,
    spell_merges,
    spell_wordpieces,
)
from pipeline.words.table import Table

SURROGATES = range(0xD800, 0xE000)
CHARACTERS = [chr(code) for code in range(cuts.PLANE) if code not in SURROGATES]
CODES = np.array([ord(character) for character in CHARACTERS])
METASPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_SIMPLE_NORMALIZERS = {"NFD", "NFKD", "NFC", "NFKC", "StripAccents", "Lowercase", "Precompiled"}
_LOWERCASE_BPE = ["NFD", "Lowercase", "StripAccents"]


class Unsupported(Exception):  # noqa: N818 - it is an answer, not a failure
    """Why the texts of a tokenizer cannot be cut into words."""


def learn_rules(tokenizer: Tokenizer) -> Rules:
    """Return how to cut a tokenizer's texts.

    Raises:
        Unsupported: It has a part that is not understood.
    """
    parts: dict[str, Any] = json.loads(tokenizer.to_str())
    for token in parts["added_tokens"]:
        if not token["special"]:
            raise Unsupported(f"added token {token['content']!r}")
    kind = (parts["pre_tokenizer"] or {}).get("type")
    model = parts["model"]["type"]
    if (kind, model) == ("BertPreTokenizer", "WordPiece"):
        return _wordpiece_rules(tokenizer, parts)
    if (kind, model) == ("ByteLevel", "BPE"):
        return _byte_rules(tokenizer, parts)
    if model == "Unigram" and kind in ("Metaspace", "Sequence"):
        return _unigram_rules(tokenizer, parts)
    raise Unsupported(f"{kind} and {model}")


def _wordpiece_rules(tokenizer: Tokenizer, parts: Mapping[str, Any]) -> Rules:
    normalizer = (parts["normalizer"] or {}).get("type")
    if normalizer not in (None, "BertNormalizer"):
        raise Unsupported(f"{normalizer} and WordPiece")
    normal = _normalize(tokenizer)
    classes = _word_classes(tokenizer, normal)
    model = parts["model"]
    fold = _fold(normal, classes)
    if fold is None or model["max_input_chars_per_word"] != 100:
        return Rules(cuts.WORDS, classes, None)
    prefix, unknown = model["continuing_subword_prefix"], model["vocab"].get(model["unk_token"])
    if unknown is None or not prefix:
        return Rules(cuts.WORDS, classes, None)
    begin, inside = {}, {}
    for piece, number in model["vocab"].items():
        begin[piece.encode()] = number
        if piece.startswith(prefix):
            inside[piece.removeprefix(prefix).encode()] = number
    longest = max(map(len, [*begin, *inside]))
    limits = np.array([longest, unknown], np.int64)
    pieces = WordPieces(*make_pieces(begin), *make_pieces(inside), fold, limits)
    return Rules(cuts.WORDS, classes, partial(spell_wordpieces, pieces))


def _byte_rules(tokenizer: Tokenizer, parts: Mapping[str, Any]) -> Rules:
    splitter, model = parts["pre_tokenizer"], parts["model"]
    if splitter["add_prefix_space"] or not splitter["use_regex"]:
        raise Unsupported("ByteLevel with a prefix space or without GPT-2's pattern")
    steps = [step["type"] for step in (parts["normalizer"] or {}).get("normalizers", [])]
    if parts["normalizer"] is not None and steps != _LOWERCASE_BPE:
        raise Unsupported(f"{parts['normalizer']['type']} and ByteLevel")
    normal = _normalize(tokenizer)
    classes = _byte_classes(tokenizer, normal)
    fold = _fold(normal, classes)
    byte_ids = [model["vocab"].get(character) for character in _byte_characters()]
    odd = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
    if (
        fold is None
        or None in byte_ids
        or any(model[name] for name in (*odd, "fuse_unk", "byte_fallback", "ignore_merges"))
    ):
        return Rules(cuts.BYTES, classes, None)
    ids = np.array(byte_ids, np.uint32)
    if parts["normalizer"] is not None:
        ids[0x80:] = NOT_HERE  # what they become is for the library to say
    merges = Merges(ids, *_merges(model["vocab"], model["merges"]), fold)
    return Rules(cuts.BYTES, classes, partial(spell_merges, merges))


def _merges(
    vocabulary: Mapping[str, int], merges: list[list[str]]
) -> tuple[Table, NDArray[np.uint32]]:
    pairs: dict[bytes, int] = {}
    for left, right in merges:
        pair = np.array([vocabulary[left], vocabulary[right]], "<u4").tobytes()
        pairs.setdefault(pair, vocabulary[left + right])
    return make_pieces(pairs)


def _byte_characters() -> list[str]:
    """Return the character that stands for each byte (bytes_to_unicode in GPT-2's encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(0x100)]


def _unigram_rules(tokenizer: Tokenizer, parts: Mapping[str, Any]) -> Rules:
    splitter = parts["pre_tokenizer"]
    steps = splitter["pretokenizers"] if splitter["type"] == "Sequence" else [splitter]
    *before, last = steps
    if [step["type"] for step in before] not in ([], ["WhitespaceSplit"]):
        raise Unsupported("its pre-tokenizers")
    if last["type"] != "Metaspace" or not last["split"] or last["replacement"] != METASPACE:
        raise Unsupported("its pre-tokenizers")
    if last["prepend_scheme"] not in ("always", "first"):
        raise Unsupported("Metaspace without a prefix")
    for step in _normalizers(parts["normalizer"]):
        if step["type"] == "Replace":
            pattern = step["pattern"].get("String", "")
            if pattern.strip() != pattern or step["pattern"].get("Regex", " {2,}") != " {2,}":
                raise Unsupported(f"the normalizer {step}")
        elif step["type"] not in _SIMPLE_NORMALIZERS:
            raise Unsupported(f"the normalizer {step['type']}")
    return Rules(cuts.SPACED, _spaced_classes(_normalize(tokenizer)), None)


def _normalizers(normalizer: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if normalizer is None:
        return []
    steps: list[Mapping[str, Any]] = normalizer.get("normalizers", [normalizer])
    return steps


def _normalize(tokenizer: Tokenizer) -> list[str]:
    """Return what each of CHARACTERS becomes."""
    if tokenizer.normalizer is None:
        return CHARACTERS
    return [tokenizer.normalizer.normalize_str(character) for character in CHARACTERS]


def _is_mark(character: str) -> bool:
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
        if not text or _is_mark(character):
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
    raw[ord(" ")], raw[ord("'")] = cuts.SPACE, cuts.APOSTROPHE
    if normal is CHARACTERS:
        return raw
    found = []
    for character, text in zip(CHARACTERS, normal, strict=True):
        kinds = {int(raw[ord(one)]) if ord(one) < cuts.PLANE else cuts.UNKNOWN for one in text}
        is_single = len(kinds) == 1 and not _is_mark(character)
        found.append(kinds.pop() if is_single else cuts.UNKNOWN)
    return _table(found)


def _spaced_classes(normal: list[str]) -> NDArray[np.uint8]:
    found = []
    for character, text in zip(CHARACTERS, normal, strict=True):
        is_simple = (
            text != ""
            and unicodedata.category(character)[0] in "LNPS"
            and not _is_mark(text[0])
            and METASPACE not in text
            and not any(map(str.isspace, text))
        )
        found.append(cuts.LETTER if is_simple else cuts.UNKNOWN)
    classes = _table(found)
    classes[ord(" ")] = cuts.SPACE
    return classes


def _fold(normal: list[str], classes: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return what each ASCII byte becomes; None where that is no single ASCII character."""
    fold = np.arange(0x100, dtype=np.uint8)
    for code in range(0x80):
        if classes[code] != cuts.UNKNOWN:
            text = normal[code]
            if len(text) != 1 or not text.isascii():
                return None
            fold[code] = ord(text)
    return fold
