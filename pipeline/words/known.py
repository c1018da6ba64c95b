"""The words that are known so far, and their tokens, within a budget of memory."""

from collections.abc import Callable, Iterator
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.words.column import Flags, Words, number_words
from pipeline.words.models import NONE, Spelling
from pipeline.words.table import Bytes, Table, grow, make_table, read_words

FIRST_WORDS, FIRST_BYTES = 1 << 15, 1 << 18
"""Words, and bytes of long words, that a new table has room for."""
WORD_BYTES = 110
"""Memory of a word in the arrays of its table, two slots included, and its place."""
TOKEN_BYTES = 5
"""Memory of a token of a known word."""
LIBRARY_WORDS = 1 << 14
"""Words handed to `tokenizers` at a time: its encodings take 50 times the text's memory."""

Speller = Callable[[Table, int, int, NDArray[np.bool_], Spelling], None]
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

    def __init__(self, tokenizer: Tokenizer, spell: Speller | None, memory: int) -> None:
        self.tokenizer = tokenizer
        self.spell = spell
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
        self._spell_new()
        return some

    def _spell_new(self) -> None:
        """Find the tokens of the words that were not known before."""
        first, last = self._spelt, int(self._table.used[0])
        if first == last:
            return
        self._spelt = last
        self._reserve(int(self._table.lengths[first:last].sum(dtype=np.int64)))
        out = self.spelling
        out.counts[first:last] = NONE
        if self.spell is not None:
            self.spell(self._table, first, last, self._plain, out)
        rest = first + np.flatnonzero(out.counts[first:last] == NONE)
        for plain in (True, False):
            words = rest[self._plain[rest] == plain]
            for batch in np.array_split(words, len(words) // LIBRARY_WORDS + 1):
                self._spell_by_library(batch, plain=plain)

    def _spell_by_library(self, words: NDArray[np.int64], *, plain: bool) -> None:
        """Have `tokenizers` spell words; a plain one is a single pre-token."""
        texts = [word.decode() for word in read_words(self._table, words)]
        encode = self.tokenizer.encode_batch_fast if plain else self.tokenizer.encode_batch
        encodings = encode(texts, add_special_tokens=False)
        lists = [encoding.ids for encoding in encodings]
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        self._reserve(total)
        out = self.spelling
        used = int(out.used[0])
        out.first[words], out.counts[words] = used + ends - counts, counts
        out.ids[used : used + total] = np.fromiter(chain.from_iterable(lists), np.uint32, total)
        is_start = out.is_start[used : used + total]
        if plain:
            is_start[:] = False
            is_start[(ends - counts)[counts > 0]] = True
        else:
            parts = [[-1, *encoding.word_ids] for encoding in encodings]
            is_start[:] = np.fromiter(chain.from_iterable(map(_changes, parts)), np.bool_, total)
        out.used[0] = used + total

    def _reserve(self, tokens: int) -> None:
        """Make room for so many more tokens."""
        old = self.spelling
        if old.used[0] + tokens > len(old.ids):
            size = 2 * (int(old.used[0]) + tokens)
            self.spelling = old._replace(
                ids=np.resize(old.ids, size), is_start=np.resize(old.is_start, size)
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
            first=np.resize(spelling.first, words), counts=np.resize(spelling.counts, words)
        )

    def _begin_anew(self, words: int, long_bytes: int) -> None:
        self._table = make_table(words, long_bytes)
        self._plain = np.zeros(words, np.bool_)
        self._spelt = 0
        self.spelling = Spelling(
            np.empty(2 * words, np.uint32),
            np.empty(2 * words, np.bool_),
            np.zeros(words, np.int64),
            np.zeros(words, np.int32),
            np.zeros(1, np.int64),
        )


def _changes(parts: list[int | None]) -> Iterator[bool]:
    """Yield for each element but the first whether it differs from the one before."""
    return (one != other for one, other in pairwise(parts))
