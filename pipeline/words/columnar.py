"""Encoding units of text by columns: every distinct word is tokenized once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.draws import mix
from pipeline.words.column import Words, find_words
from pipeline.words.cuts import next_word
from pipeline.words.gather import (
    NEVER,
    Sought,
    byte_places,
    count_tokens,
    gather,
    settle,
    settle_rest,
)
from pipeline.words.known import KnownWords, Speller
from pipeline.words.quick import classes_of_ascii
from pipeline.words.spelling import EVERY_PIECE, Dropout
from pipeline.words.table import PADDING, Bytes

WORDS_AT_A_TIME = 1 << 16
"""Words that are found before they are looked up: few enough for a processor's cache."""


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
        begins: (V,) uint8, START of the tokens that begin a word wherever they stand.
        memory: Bytes for the words that are known.
    """

    def __init__(self, tokenizer: Tokenizer, rules: Rules, begins: Bytes, memory: int) -> None:
        self.rules = rules
        self.known = KnownWords(tokenizer, rules.spell, begins, memory)
        kinds = (np.int64, np.int32, np.uint64, np.uint64, np.bool_, np.int32)
        self._words = Words._make(np.empty(WORDS_AT_A_TIME, kind) for kind in kinds)
        self._firsts = np.empty(WORDS_AT_A_TIME + 1, np.int64)

    def encode(
        self, units: Sequence[str], cuts: Sequence[Sequence[int]], dropout: Dropout = EVERY_PIECE
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Return ids, flags, where units begin, and the tokens at or after the cuts.

        `dropout` has a key for each unit.
        """
        pieces = [unit.encode() for unit in units]
        raw = np.frombuffer(b"".join([*pieces, bytes(PADDING)]), np.uint8)
        bounds = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
        characters = np.cumsum([0, *map(len, units)], dtype=np.int64)
        cut_units = np.repeat(np.arange(len(units)), list(map(len, cuts)))
        places = np.fromiter(chain.from_iterable(cuts), np.int64, len(cut_units))
        places += characters[cut_units]
        if bounds[-1] > characters[-1]:
            places = byte_places(raw, places)
        sought = _seek(bounds, places, cut_units)
        ids, flags = self._tokens(raw, bounds, sought, dropout)
        if dropout.probability > 0:  # a cut in a word moves to the word's begin
            return ids, flags, sought.unit_tokens, sought.cut_tokens
        for begin in np.unique(sought.within[sought.within >= 0]).tolist():
            of_word = np.flatnonzero(sought.within == begin)
            stop = int(sought.cut_stops[of_word[0]])
            _, end, _, _ = next_word(
                raw.ctypes.data, begin, stop, self.rules.classes.ctypes.data, self.rules.style
            )
            sought.cut_tokens[of_word] += self._tokens_before(
                raw[begin:end], places[of_word] - begin
            )
        return ids, flags, sought.unit_tokens, sought.cut_tokens

    def _tokens_before(self, word: Bytes, cuts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many tokens of a word begin before each of its bytes `cuts`."""
        encoding = self.known.tokenizer.encode(word.tobytes().decode(), add_special_tokens=False)
        characters = np.cumsum(word & 0xC0 != 0x80) - 1  # of each byte
        starts = np.array([start for start, _ in encoding.offsets], np.int64)
        return np.searchsorted(starts, characters[cuts]).astype(np.int64)

    def _tokens(
        self, raw: Bytes, bounds: NDArray[np.int64], sought: Sought, dropout: Dropout
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return ids and flags."""
        rules, words = self.rules, self._words
        classes = (rules.classes, rules.style)
        of_ascii = classes_of_ascii(rules.classes)
        pieces = [(np.empty(0, np.uint32), np.empty(0, np.uint8))]
        unit = at = before = tokens = 0
        while unit < len(bounds) - 1:
            unit, at, count = find_words(
                raw, bounds, (unit, at), of_ascii, classes, words, sought.unit_words, before
            )
            done = 0
            while done < count:
                rest = Words._make(column[done:] for column in words)
                some = self.known.number(raw, rest, count - done)
                codes, firsts = rest.codes[:some], self._firsts[: some + 1]
                keys = _word_keys(dropout, sought.unit_words, before + done, some)
                ids, flags = self._gather(codes, keys, firsts, tokens)
                settle(raw, rest.begins[:some], firsts, before + done, classes, sought)
                pieces.append((ids, flags))
                done, tokens = done + some, tokens + len(ids)
            before += count
        settle_rest(raw, tokens, classes, sought)
        every_id, every_flag = zip(*pieces, strict=True)
        return np.concatenate(every_id), np.concatenate(every_flag)

    def _gather(
        self,
        codes: NDArray[np.int32],
        dropout: Dropout,
        firsts: NDArray[np.int64],
        before: int,
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return the tokens of words; `firsts` gains the first token of each, and of the next."""
        if dropout.probability > 0:
            ids, flags, counts = self.known.spell_anew(codes, dropout)
            firsts[0], firsts[1:] = before, before + np.cumsum(counts)
            return ids, flags
        total: int = count_tokens(codes, self.known.spelling)
        ids, flags = np.empty(total, np.uint32), np.empty(total, np.uint8)
        gather(codes, self.known.spelling, ids, flags, firsts, before)
        return ids, flags


def _word_keys(dropout: Dropout, unit_words: NDArray[np.int64], first: int, count: int) -> Dropout:
    """Return the dropout with a key for each of `count` words, by their place in their units."""
    if dropout.probability <= 0:
        return dropout
    words = np.arange(first, first + count)
    units = np.searchsorted(unit_words, words, side="right") - 1
    places = (words - unit_words[units]).astype(np.uint64)
    return Dropout(dropout.probability, mix(dropout.keys[units] ^ mix(places)))


def _seek(
    bounds: NDArray[np.int64], places: NDArray[np.int64], cut_units: NDArray[np.int64]
) -> Sought:
    """Return what is sought, nothing found yet."""
    return Sought(
        unit_words=np.full(len(bounds), NEVER),
        unit_tokens=np.zeros(len(bounds), np.int64),
        cuts=places,
        cut_starts=bounds[cut_units],
        cut_stops=bounds[cut_units + 1],
        cut_tokens=np.empty(len(places), np.int64),
        within=np.full(len(places), -1, np.int64),
        state=np.array([0, 0, -1, 0, -1, 0], np.int64),
    )
