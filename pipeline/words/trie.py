"""The pieces of a vocabulary as a double-array trie (Aoe 1989, IEEE Trans. Softw. Eng. 15(9)).

A state is a place in two arrays. Byte b leads from state s to `base[s] + b`, if `check` there is s.
Small enough to stay in a processor's cache, where a hash table of all beginnings does not.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, compiled
from pipeline.words.table import Bytes

NO_PIECE = np.uint32(0xFFFFFFFF)
"""Id of what only begins a piece."""
ROOT, NO_STATE, FULL = 0, -1, -1


class Trie(NamedTuple):
    """Byte strings that begin with one another.

    Attributes:
        base: (S,) int32.
        check: (S,) int32, state from which each is reached; NO_STATE: free.
        ids: (S,) uint32, id of the piece that ends in a state, or NO_PIECE.
    """

    base: NDArray[np.int32]
    check: NDArray[np.int32]
    ids: NDArray[np.uint32]


def make_trie(pieces: Mapping[bytes, int]) -> Trie:
    """Return the trie of some pieces and their ids."""
    strings = sorted(pieces)
    text = np.frombuffer(b"".join(strings), np.uint8)
    bounds = np.cumsum([0, *map(len, strings)], dtype=np.int64)
    ids = np.array([pieces[string] for string in strings], np.uint32)
    size, used = 1024, FULL
    while used == FULL:
        size = 2 * max(size, len(text))
        trie = Trie(
            np.zeros(size, np.int32),
            np.full(size, NO_STATE, np.int32),
            np.full(size, NO_PIECE, np.uint32),
        )
        used = _fill(trie, text, bounds, ids)
    return Trie._make(array[:used].copy() for array in trie)


@compiled
def _fill(trie: Trie, text: Bytes, bounds: NDArray[np.int64], ids: NDArray[np.uint32]) -> Index:
    """Add sorted strings, the shorter first; return how many places may be asked, or FULL."""
    base, check, found = trie
    states = np.empty((len(base), 4), np.int64)  # state, first and last string, bytes so far
    states[0] = 0, 0, len(ids), 0
    check[ROOT] = ROOT
    # Not from 1 on: what no byte of a text leads to stays free, and each search would begin there.
    head, tail, free = 0, 1, 256
    while head < tail:
        state, first, last, depth = states[head]
        head += 1
        if first < last and bounds[first + 1] - bounds[first] == depth:
            found[state] = ids[first]
            first += 1
        if first == last:
            continue
        while check[free] != NO_STATE:
            free += 1
        place = _find_place(check, free, text, bounds[first:last] + depth)
        if place == FULL:
            return FULL
        base[state] = place
        while first < last:
            byte = text[bounds[first] + depth]
            after = first + 1
            while after < last and text[bounds[after] + depth] == byte:
                after += 1
            check[place + byte] = state
            states[tail] = place + byte, first, after, depth + 1
            tail += 1
            first = after
    return base.max() + 256


@compiled
def _find_place(
    check: NDArray[np.int32], free: Index, text: Bytes, next_bytes: NDArray[np.int64]
) -> Index:
    """Return a place from which all these bytes of the text lead to free ones, or FULL."""
    place = free - np.int64(text[next_bytes[0]])
    while place + 512 < len(check):  # 256 that it leads to, and room to look for the next
        fits = True
        for at in next_bytes:
            if check[place + text[at]] != NO_STATE:
                fits = False
                break
        if fits:
            return place
        place += 1
    return FULL
