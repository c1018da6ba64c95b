"""The words that are known so far, and their tokens, within a budget of memory."""

from collections.abc import Callable
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.words.characters import GROWTH
from pipeline.words.column import Words, number_words
from pipeline.words.library import flags_of
from pipeline.words.spelling import (
    EVERY_PIECE,
    ID_BITS,
    LONGEST,
    NONE,
    PUNCTUATION,
    SINGLE,
    START,
    Dropout,
    Flags,
    Spelling,
)
from pipeline.words.table import Bytes, Table, grow, make_table, read_words

FIRST_WORDS, FIRST_BYTES = 1 << 17, 1 << 20
"""Words, and bytes of long words, that a new table has room for."""
WORD_BYTES = 118
"""Memory of a word in the arrays of its table, two slots included, and its place."""
TOKEN_BYTES = 5
"""Memory of a token of a known word."""
WORDS_AT_A_TIME = 1 << 14
"""Words that are spelt together: the encodings of `tokenizers` take 50 times their memory."""

Speller = Callable[[Table, int, int, NDArray[np.bool_], Spelling, Dropout], None]
"""Spells what it can of the words numbered from one to before another."""


class KnownWords:
    """A table of words that grows up to a budget, and then begins anew: no id depends on it.

    Attributes:
        spelling: The tokens of all words of the table.
    """

    spelling: Spelling
    _table: Table
    _plain: Flags
    _spelt: int

    def __init__(
        self, tokenizer: Tokenizer, spell: Speller | None, begins: Bytes, memory: int
    ) -> None:
        self.tokenizer = tokenizer
        self.spell = spell
        self.begins = begins
        self.memory = memory
        self._begin_anew(FIRST_WORDS, FIRST_BYTES)

    def number(self, raw: Bytes, words: Words, count: int) -> int:
        """Number the first `count` words, or as many as there is room for; all are spelt then.

        What is numbered must be used before the next call, which may forget it.
        """
        some: int = number_words(raw, words, count, self._table, self._plain)
        if not some:
            self._make_room(int(words.lengths[0]))
            some = number_words(raw, words, count, self._table, self._plain)
        last = int(self._table.used[0])
        while self._spelt < last:
            first, self._spelt = self._spelt, min(last, self._spelt + WORDS_AT_A_TIME)
            self._spell(first, self._spelt)
        return some

    def _spell(self, first: int, last: int) -> None:
        """Find the tokens of the words numbered from `first` to before `last`."""
        sizes = np.minimum(self._table.lengths[first:last], LONGEST)
        self._reserve(GROWTH * int(sizes.sum(dtype=np.int64)) + last - first)
        out, before = self.spelling, int(self.spelling.used[0])
        out.counts[first:last] = NONE
        if self.spell is not None:
            self.spell(self._table, first, last, self._plain, out, EVERY_PIECE)
        rest = first + np.flatnonzero(out.counts[first:last] == NONE)
        for plain in (True, False):
            words = rest[self._plain[rest] == plain]
            if len(words):
                self._spell_by_library(words, plain=plain)
        new = slice(before, int(self.spelling.used[0]))
        self.spelling.flags[new] |= self.begins[self.spelling.ids[new]]
        self._note_singles(first, last)

    def spell_anew(
        self, codes: NDArray[np.int32], dropout: Dropout
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.int64]]:
        """Spell each of (W,) words by itself; return ids, flags, and (W,) how many tokens each has.

        What only `tokenizers` spells keeps the tokens that it always has.
        """
        if self.spell is None:
            raise TypeError("no speller")
        table, known = self._table, self.spelling
        rows = {name: getattr(table, name)[codes] for name in ("low", "high", "lengths", "long_at")}
        sizes = np.minimum(rows["lengths"], LONGEST)
        out = _make_spelling(len(codes), GROWTH * int(sizes.sum(dtype=np.int64)) + len(codes))
        out.counts[:] = NONE
        self.spell(table._replace(**rows), 0, len(codes), self._plain[codes], out, dropout)
        is_here = out.counts != NONE
        counts = np.where(is_here, out.counts, known.counts[codes]).astype(np.int64)
        source = np.repeat(np.where(is_here, out.first, known.first[codes]), counts)
        source += np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
        is_new = np.repeat(is_here, counts)
        ids, flags = np.empty(len(source), np.uint32), np.empty(len(source), np.uint8)
        for which, spelling in ((is_new, out), (~is_new, known)):
            ids[which], flags[which] = spelling.ids[source[which]], spelling.flags[source[which]]
        return ids, flags | self.begins[ids], counts

    def _note_singles(self, first: int, last: int) -> None:
        out = self.spelling
        is_single = out.counts[first:last] == 1
        tokens = out.first[first:last][is_single]
        singles = out.ids[tokens] | out.flags[tokens].astype(np.uint64) << ID_BITS | SINGLE
        out.singles[first:last] = 0
        out.singles[first:last][is_single] = singles

    def _spell_by_library(self, words: NDArray[np.int64], *, plain: bool) -> None:
        """Have `tokenizers` spell words; a plain one is a single pre-token."""
        texts = [word.decode() for word in read_words(self._table, words)]
        encode = self.tokenizer.encode_batch_fast if plain else self.tokenizer.encode_batch
        encodings = encode(texts, add_special_tokens=False)
        lists = [encoding.ids for encoding in encodings]
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        ends = np.cumsum(counts)
        total = int(ends[-1])
        self._reserve(total)
        out = self.spelling
        used = int(out.used[0])
        out.first[words], out.counts[words] = used + ends - counts, counts
        out.ids[used : used + total] = np.fromiter(chain.from_iterable(lists), np.uint32, total)
        flags = out.flags[used : used + total]
        if plain:
            is_mark = [not any(map(str.isalnum, text)) for text in texts]
            flags[:] = np.repeat(np.array(is_mark, np.uint8) * np.uint8(PUNCTUATION), counts)
            flags[(ends - counts)[counts > 0]] |= START
        elif total:
            flags[:] = np.concatenate(list(map(flags_of, encodings, texts)))
        out.used[0] = used + total

    def _reserve(self, tokens: int) -> None:
        """Make room for so many more tokens."""
        old = self.spelling
        if old.used[0] + tokens > len(old.ids):
            size = 3 * int(old.used[0]) // 2 + tokens
            self.spelling = old._replace(
                ids=np.resize(old.ids, size), flags=np.resize(old.flags, size)
            )

    def _make_room(self, length: int) -> None:
        """Let the table grow for a word of `length` bytes; forget all where that is too much."""
        old = self._table
        words, long_bytes = len(old.low), len(old.long_bytes)
        if old.used[0] == words:
            words *= 2
        while old.used[1] + length > long_bytes:
            long_bytes *= 2
        taken = words * WORD_BYTES + long_bytes + len(self.spelling.ids) * TOKEN_BYTES
        if taken > self.memory:
            self._begin_anew(len(old.low), max(len(old.long_bytes), length))
            return
        self._table = grow(old, words, long_bytes)
        self._plain = np.resize(self._plain, words)
        spelling = self.spelling
        self.spelling = spelling._replace(
            first=np.resize(spelling.first, words),
            counts=np.resize(spelling.counts, words),
            singles=np.resize(spelling.singles, words),
        )

    def _begin_anew(self, words: int, long_bytes: int) -> None:
        self._table = make_table(words, long_bytes)
        self._plain = np.zeros(words, np.bool_)
        self._spelt = 0
        self.spelling = _make_spelling(words, 2 * words)


def _make_spelling(words: int, tokens: int) -> Spelling:
    """Return an empty spelling with room for so many words and tokens."""
    return Spelling(
        np.empty(tokens, np.uint32),
        np.empty(tokens, np.uint8),
        np.zeros(words, np.int64),
        np.zeros(words, np.int32),
        np.zeros(words, np.uint64),
        np.zeros(1, np.int64),
    )
