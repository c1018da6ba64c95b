"""All ways to spell words with pieces, in machine code; one thread, so sums have one order."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEVER = -1e300


class Lattice(NamedTuple):
    """N words and P pieces; the text is that of all words, one after another.

    Attributes:
        words: (N + 1,) int64, where each word begins in the text.
        counts: (N,) float64, how often each word is met.
        edges: (characters + 1,) int64, the first edge that begins at each character.
        starts: (E,) int32, the character at which each edge begins, in order.
        pieces: (E,) int32, the piece that an edge stands for; at one character shorter ones first.
        lengths: (P,) int64, characters of each piece.
        places: (P,) int32, where in the text each piece is found first.
    """

    words: Ints
    counts: Floats
    edges: Ints
    starts: NDArray[np.int32]
    pieces: NDArray[np.int32]
    lengths: Ints
    places: NDArray[np.int32]


@compiled
def expect(lattice: Lattice, scores: Floats) -> Floats:
    """Return how often each piece is expected, over all spellings by their probability."""
    expected = np.zeros(len(scores))
    longest = np.diff(lattice.words).max()
    ahead, behind = np.empty(longest + 1), np.empty(longest + 1)
    for word in range(len(lattice.counts)):
        begin, end = lattice.words[word], lattice.words[word + 1]
        ahead[: end - begin + 1] = NEVER
        behind[: end - begin + 1] = NEVER
        ahead[0] = behind[end - begin] = 0.0
        for at in range(begin, end):
            for edge in range(lattice.edges[at], lattice.edges[at + 1]):
                piece = lattice.pieces[edge]
                to = at - begin + lattice.lengths[piece]
                ahead[to] = _add_logs(ahead[to], ahead[at - begin] + scores[piece])
        for at in range(end - 1, begin - 1, -1):
            for edge in range(lattice.edges[at], lattice.edges[at + 1]):
                piece = lattice.pieces[edge]
                to = at - begin + lattice.lengths[piece]
                score = behind[to] + scores[piece]
                behind[at - begin] = _add_logs(behind[at - begin], score)
                share = np.exp(ahead[at - begin] + score - ahead[end - begin])
                expected[piece] += lattice.counts[word] * share
    return expected


@compiled
def _add_logs(one: float, other: float) -> float:
    """Return log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    return one if one - other > 50.0 else one + np.log1p(np.exp(other - one))


@compiled
def best_spellings(lattice: Lattice, scores: Floats) -> Floats:
    """Return how often each piece stands in the text when each word is spelt in the best way."""
    used = np.zeros(len(scores))
    longest = np.diff(lattice.words).max()
    best, last = np.empty(longest + 1), np.empty(longest + 1, np.int64)
    for word in range(len(lattice.counts)):
        begin, end = lattice.words[word], lattice.words[word + 1]
        _find_best(lattice, scores, begin, end, -1, best, last)
        at = end - begin
        while at > 0:
            used[last[at]] += lattice.counts[word]
            at -= lattice.lengths[last[at]]
    return used


@compiled
def respell(lattice: Lattice, scores: Floats, used: Floats) -> tuple[Floats, Floats]:
    """Return for each piece its best spelling by others, and how many these are.

    The spelling is given as the sum of the logs of how often each of its pieces would stand in the
    text, if it took over what the piece has.
    """
    logs, parts = np.zeros(len(scores)), np.zeros(len(scores))
    longest = lattice.lengths.max()
    best, last = np.empty(longest + 1), np.empty(longest + 1, np.int64)
    for piece in range(len(scores)):
        if lattice.lengths[piece] == 1 or used[piece] == 0.0:
            continue
        begin, length = lattice.places[piece], lattice.lengths[piece]
        _find_best(lattice, scores, begin, begin + length, piece, best, last)
        at = length
        while at > 0:
            logs[piece] += np.log(used[last[at]] + used[piece])
            parts[piece] += 1.0
            at -= lattice.lengths[last[at]]
    return logs, parts


@compiled
def _find_best(
    lattice: Lattice,
    scores: Floats,
    begin: Index,
    end: Index,
    banned: Index,
    best: Floats,
    last: Ints,
) -> None:
    """Find the best spelling of a stretch of text without one piece: the last piece up to each."""
    best[: end - begin + 1] = NEVER
    best[0] = 0.0
    for at in range(begin, end):
        for edge in range(lattice.edges[at], lattice.edges[at + 1]):
            piece = lattice.pieces[edge]
            to = at - begin + lattice.lengths[piece]
            if to > end - begin:
                break
            score = best[at - begin] + scores[piece]
            if piece != banned and score > best[to]:
                best[to], last[to] = score, piece
