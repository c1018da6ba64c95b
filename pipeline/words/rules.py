"""The rules of a tokenizer: how its texts are cut into words, and what spells these."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from pipeline.words import cuts
from pipeline.words.bpe import Merges, byte_characters, make_pairs, spell_merges
from pipeline.words.characters import QUOTES, Characters, learn_characters
from pipeline.words.columnar import Rules
from pipeline.words.trie import make_trie
from pipeline.words.unigram import METASPACE, Pieces, spell_unigram
from pipeline.words.wordpiece import WordPieces, spell_wordpieces

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
        return _wordpiece_rules(parts)
    if (kind, model) == ("ByteLevel", "BPE"):
        return _byte_rules(parts)
    if model == "Unigram" and kind in ("Metaspace", "Sequence"):
        return _unigram_rules(parts)
    raise Unsupported(f"{kind} and {model}")


def _wordpiece_rules(parts: Mapping[str, Any]) -> Rules:
    normalizer = (parts["normalizer"] or {}).get("type")
    if normalizer not in (None, "BertNormalizer"):
        raise Unsupported(f"{normalizer} and WordPiece")
    classes, fold = learn_characters(parts, cuts.WORDS)
    model = parts["model"]
    prefix, unknown = model["continuing_subword_prefix"], model["vocab"].get(model["unk_token"])
    if unknown is None or not prefix or model["max_input_chars_per_word"] != 100:
        return Rules(cuts.WORDS, classes, None)
    begin, inside = {}, {}
    for piece, number in model["vocab"].items():
        begin[piece.encode()] = number
        if piece.startswith(prefix):
            inside[piece.removeprefix(prefix).encode()] = number
    tries = make_trie(begin), make_trie(inside)
    pieces = WordPieces(*tries, fold, np.array([unknown], np.uint32))
    return Rules(cuts.WORDS, classes, partial(spell_wordpieces, pieces))


def _byte_rules(parts: Mapping[str, Any]) -> Rules:
    splitter, model = parts["pre_tokenizer"], parts["model"]
    if splitter["add_prefix_space"] or not splitter["use_regex"]:
        raise Unsupported("ByteLevel with a prefix space or without GPT-2's pattern")
    steps = [step["type"] for step in (parts["normalizer"] or {}).get("normalizers", [])]
    if parts["normalizer"] is not None and steps != _LOWERCASE_BPE:
        raise Unsupported(f"{parts['normalizer']['type']} and ByteLevel")
    classes, fold = learn_characters(parts, cuts.BYTES)
    vocabulary = model["vocab"]
    byte_ids = [vocabulary.get(character) for character in byte_characters()]
    odd = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
    flags = ("fuse_unk", "byte_fallback", "ignore_merges")
    if None in byte_ids or any(model[name] for name in (*odd, *flags)):
        return Rules(cuts.BYTES, classes, None)
    lefts, rights = zip(*model["merges"], strict=True) if model["merges"] else ((), ())
    pairs = np.array([[*map(vocabulary.get, lefts)], [*map(vocabulary.get, rights)]], np.uint32)
    merged = np.array([vocabulary[one + other] for one, other in model["merges"]], np.uint32)
    merges = Merges(np.array(byte_ids, np.uint32), make_pairs(pairs), merged, fold)
    return Rules(cuts.BYTES, classes, partial(spell_merges, merges))


def _unigram_rules(parts: Mapping[str, Any]) -> Rules:
    splitter = parts["pre_tokenizer"]
    steps = splitter["pretokenizers"] if splitter["type"] == "Sequence" else [splitter]
    *before, last = steps
    if [step["type"] for step in before] not in ([], ["WhitespaceSplit"]):
        raise Unsupported("its pre-tokenizers")
    if last["type"] != "Metaspace" or not last["split"] or last["replacement"] != METASPACE:
        raise Unsupported("its pre-tokenizers")
    if last["prepend_scheme"] != "always":
        raise Unsupported("Metaspace without a prefix before every word")
    replaced = set()
    for step in _normalizers(parts["normalizer"]):
        if step["type"] == "Replace":
            pattern = step["pattern"].get("String", "")
            is_spaced = any(map(str.isspace, pattern))
            if is_spaced or step["pattern"].get("Regex", " {2,}") != " {2,}":
                raise Unsupported(f"the normalizer {step}")
            replaced |= {pattern} - {""}
        elif step["type"] not in _SIMPLE_NORMALIZERS:
            raise Unsupported(f"the normalizer {step['type']}")
    characters = learn_characters(parts, cuts.SPACED)
    pieces = _pieces(parts["model"], characters) if replaced <= set(QUOTES) else None
    spell = None if pieces is None else partial(spell_unigram, pieces)
    return Rules(cuts.SPACED, characters.classes, spell)


def _pieces(model: Mapping[str, Any], characters: Characters) -> Pieces | None:
    """Return a Unigram vocabulary, or None where it is not spelt as `spell_unigram` does."""
    vocabulary, unknown = model["vocab"], model["unk_id"]
    scores = np.array([score for _, score in vocabulary], np.float64)
    # Scores over 0 could make two unknown characters better than the piece of both.
    if unknown is None or model["byte_fallback"] or scores.max() > 0:
        return None
    trie = make_trie({piece.encode(): number for number, (piece, _) in enumerate(vocabulary)})
    mark = np.frombuffer(METASPACE.encode(), np.uint8)
    return Pieces(trie, scores, characters.fold, np.array([unknown], np.uint32), mark)


def _normalizers(normalizer: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if normalizer is None:
        return []
    steps: list[Mapping[str, Any]] = normalizer.get("normalizers", [normalizer])
    return steps
