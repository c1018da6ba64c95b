"""Encoding units of text by columns: every distinct word is tokenized once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.words.column import Flags, Words, find_tokens, find_words, gather
from pipeline.words.cuts import next_word
from pipeline.words.known import KnownWords, Speller
from pipeline.words.table import Bytes

WORDS_AT_A_TIME = 1 << 14
"""Words that are found before they are looked up: few enough to stay in a processor's cache."""


@dataclass(frozen=True)
class Rules:
    """How a tokenizer's texts are cut, and its plain words spelt."""

    style: int
    classes: Bytes
    spell: Speller | None


class Columnar:
    """Encodes units of text by the rules of a tokenizer.

    Args:
        tokenizer: Spells the words that the rules do not.
        rules: How its texts are cut.
        memory: Bytes for the words that are known.
    """

    def __init__(self, tokenizer: Tokenizer, rules: Rules, memory: int) -> None:
        self.rules = rules
        self.known = KnownWords(tokenizer, rules.spell, memory)
        kinds = (np.int64, np.int32, np.uint64, np.uint64, np.bool_, np.int32)
        self._words = Words._make(np.empty(WORDS_AT_A_TIME, kind) for kind in kinds)

    def encode(
        self, units: Sequence[str], cuts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.uint32], Flags, NDArray[np.int64], NDArray[np.int64]]:
        """Return ids, word starts, where units begin, and the tokens at or after the cuts."""
        pieces = [unit.encode() for unit in units]
        raw = np.frombuffer(b"".join(pieces), np.uint8)
        bounds = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
        columns, unit_words = self._columns(raw, bounds)
        ids, is_start, begins, firsts = columns
        firsts = np.append(firsts, len(ids))
        cut_units = np.repeat(np.arange(len(units)), [len(of_unit) for of_unit in cuts])
        places = np.fromiter(
            chain.from_iterable(map(_byte_places, units, pieces, bounds.tolist(), cuts)),
            np.int64,
            len(cut_units),
        )
        found = np.empty(len(places), np.int64)
        rules = (self.rules.classes, self.rules.style)
        find_tokens(raw, bounds, places, cut_units, begins, firsts, rules, found)
        for index in np.flatnonzero(found < 0):
            word, stop = -int(found[index]) - 1, int(bounds[cut_units[index] + 1])
            begin, end, _, _ = next_word(raw, int(begins[word]), stop, *rules)
            found[index] = firsts[word] + self._tokens_before(
                raw[begin:end].tobytes(), int(places[index]) - begin
            )
        return ids, is_start, firsts[unit_words], found

    def _tokens_before(self, word: bytes, cut: int) -> int:
        """Return how many tokens of a word begin before its byte `cut`."""
        encoding = self.known.tokenizer.encode(word.decode(), add_special_tokens=False)
        place = len(word[:cut].decode())
        return sum(start < place for start, _ in encoding.offsets)

    def _columns(
        self, raw: Bytes, bounds: NDArray[np.int64]
    ) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
        """Return ids, word starts, where words begin, and their first tokens; and unit's words."""
        unit_words = np.zeros(len(bounds), np.int64)
        rules, words = self.rules, self._words
        pieces = [self._gather(words, 0, 0)]
        unit = at = before = tokens = 0
        while unit < len(bounds) - 1:
            unit, at, count = find_words(
                raw, bounds, (unit, at), rules.classes, rules.style, words, unit_words, before
            )
            done = 0
            while done < count:
                rest = Words._make(column[done:] for column in words)
                some = self.known.number(raw, rest, count - done)
                pieces.append(self._gather(rest, some, tokens))
                done, tokens = done + some, tokens + len(pieces[-1][0])
            before += count
        return [np.concatenate(column) for column in zip(*pieces, strict=True)], unit_words

    def _gather(self, words: Words, count: int, before: int) -> tuple[NDArray[Any], ...]:
        codes = words.codes[:count]
        ids = np.empty(self.known.spelling.counts[codes].sum(dtype=np.int64), np.uint32)
        is_start = np.empty(len(ids), np.bool_)
        tokens = np.empty(count, np.int64)
        gather(codes, self.known.spelling, ids, is_start, tokens, before)
        return ids, is_start, words.begins[:count].copy(), tokens


def _byte_places(unit: str, piece: bytes, begin: int, cuts: Sequence[int]) -> Iterator[int]:
    """Yield the bytes of some characters of a unit that begins at `begin`."""
    if len(unit) == len(piece):
        return (begin + cut for cut in cuts)
    return (begin + len(unit[:cut].encode()) for cut in cuts)
