"""Training a Unigram vocabulary: the same pieces and scores in every run.

After Kudo, "Subword Regularization" (2018), section 3.2, and unigram_model_trainer.cc of
https://github.com/google/sentencepiece: begin with the substrings that cover most of the text, then
in turn fit the probability of each by expectation-maximization, and drop those without which the
text is hardly less likely. Unlike there, substrings are counted by hash and not by a suffix array,
and single characters are never dropped.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.vocabulary.lattice import Floats, Ints, Lattice, best_spellings, expect, respell

METASPACE = "\N{LOWER ONE EIGHTH BLOCK}"
MOST_WORDS = 1 << 18
"""Words that are looked at, the most frequent ones."""
LONGEST_PIECE = 16
"""Characters, as `max_sentencepiece_length` of sentencepiece and `max_piece_length` here."""
SEEDS = 1_000_000
"""`seed_sentencepiece_size` of sentencepiece."""
SHRINKING = 0.75
"""`shrinking_factor` of sentencepiece: the share of the pieces that a round leaves at least."""
ROUNDS = 2
"""`num_sub_iterations`: steps of expectation-maximization before pieces are dropped."""
LEAST_EXPECTED = 0.5
"""`kExpectedFrequencyThreshold`: pieces that are expected less often are dropped."""
SPARE = 1.1
"""Dropping ends at so many times the vocabulary; the rest is left out by score."""
FACTOR = np.uint64(6364136223846793005)
"""Multiplier of a hash modulo 2**64 (Knuth's MMIX)."""


def train_pieces(
    counts: Mapping[str, int], alphabet: Sequence[str], size: int
) -> list[tuple[str, float]]:
    """Return at most `size` pieces with their log probabilities, the likeliest first.

    Args:
        counts: How often each word stands in the text.
        alphabet: Characters that pieces are made of; each is a piece itself.
        size: Pieces wanted; there are fewer where the text does not yield them.
    """
    words = _known_parts(counts, frozenset(alphabet))
    for character in alphabet:
        words.setdefault(character, 0)
    if not words:
        return []
    text = "".join(words)
    lattice = _seed(text, words)
    scores = _first_scores(lattice)
    while True:
        for _ in range(ROUNDS):
            lattice, scores = _fit(lattice, scores)
        if len(scores) <= SPARE * size:
            break
        target = max(int(SPARE * size), int(SHRINKING * len(scores)))
        lattice, scores = _drop(lattice, scores, target)
    pieces = [
        (text[place : place + length], round(score, 6))
        for place, length, score in zip(
            lattice.places.tolist(), lattice.lengths.tolist(), scores.tolist(), strict=True
        )
    ]
    letters = len(alphabet)
    longer = sorted(pieces[letters:], key=_rank)[: max(0, size - letters)]
    return sorted([*pieces[:letters], *longer], key=_rank)


def _rank(piece: tuple[str, float]) -> tuple[float, str]:
    return -piece[1], piece[0]


def _known_parts(counts: Mapping[str, int], alphabet: frozenset[str]) -> dict[str, int]:
    """Return the most frequent words, cut at characters outside of the alphabet."""
    parts: dict[str, int] = {}
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS]:
        kept = "".join(character if character in alphabet else "\0" for character in word)
        for part in filter(None, kept.split("\0")):
            parts[part] = parts.get(part, 0) + count
    return parts


class _Substrings(NamedTuple):
    """The substrings of one length.

    Attributes:
        starts: (any,) int32, characters at which one begins.
        numbers: (any,) int32, which one it is.
        places: (S,) int32, where each is found first.
        covers: (S,) float64, characters of the text that each covers.
    """

    starts: NDArray[np.int32]
    numbers: NDArray[np.int32]
    places: NDArray[np.int32]
    covers: Floats


def _seed(text: str, words: Mapping[str, int]) -> Lattice:
    """Return the lattice of all characters, and of the substrings that cover most of the text."""
    sizes = np.fromiter(map(len, words), np.int64, len(words))
    bounds = np.append(0, np.cumsum(sizes))
    counts = np.fromiter(words.values(), np.float64, len(words))
    weights = np.repeat(counts, sizes)
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
    room = _room(codes, bounds)
    hashes, starts = codes.copy(), np.arange(len(text), dtype=np.int32)
    found = [_count(hashes, starts, weights, 1)]
    for length in range(2, LONGEST_PIECE + 1):
        starts = found[-1].starts  # what is met once is met no more often when it goes on
        starts = starts[room[starts] >= length]
        hashes[starts] = hashes[starts] * FACTOR + codes[starts + length - 1]
        found.append(_count(hashes[starts], starts, weights[starts], length))
    firsts = np.cumsum([0, *(len(one.places) for one in found)])
    pieces = [one.numbers + first for one, first in zip(found, firsts[:-1], strict=True)]
    starts = np.concatenate([one.starts for one in found])
    order = np.argsort(starts, kind="stable")
    covers = np.concatenate([one.covers for one in found])
    lattice = Lattice(
        bounds,
        counts,
        np.empty(len(text) + 1, np.int64),  # `_keep` finds them
        starts[order],
        np.concatenate(pieces)[order],
        np.repeat(np.arange(1, len(found) + 1), np.diff(firsts)),
        np.concatenate([one.places for one in found]),
    )
    return _keep(lattice, _best(covers, SEEDS))


def _room(codes: NDArray[np.uint64], bounds: Ints) -> Ints:
    """Return how many characters from each on are of one script, in one word.

    A piece has one script, and digits and marks have another than letters, as with
    `split_by_unicode_script` of sentencepiece; the space before a word has that of what follows.
    """
    distinct, numbers = np.unique(codes, return_inverse=True)
    scripts: dict[str, int] = {}
    kinds = [scripts.setdefault(_script(chr(code)), len(scripts)) for code in distinct.tolist()]
    kind = np.array(kinds)[numbers]
    spaces = np.flatnonzero(codes[:-1] == ord(METASPACE))
    kind[spaces] = kind[spaces + 1]
    ends = np.union1d(bounds[1:], np.flatnonzero(kind[1:] != kind[:-1]) + 1)
    places = np.arange(len(codes))
    room: Ints = ends[np.searchsorted(ends, places, side="right")] - places
    return room


def _script(character: str) -> str:
    """Return the first word of a letter's name, which tells its script; "" for all others."""
    if not character.isalpha():
        return ""
    script = unicodedata.name(character, "").partition(" ")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else script


def _count(
    hashes: NDArray[np.uint64], starts: NDArray[np.int32], weights: Floats, length: int
) -> _Substrings:
    """Tell substrings of one length apart by their hashes; leave out what is met only once."""
    _, first, numbers = np.unique(hashes, return_index=True, return_inverse=True)
    covers = np.bincount(numbers, weights).astype(np.float64) * length
    if length == 1:
        covers[:] = np.inf  # every character is a piece
    is_kept = covers > length
    is_edge = is_kept[numbers]
    new_numbers = np.cumsum(is_kept, dtype=np.int32) - 1
    return _Substrings(
        starts[is_edge], new_numbers[numbers[is_edge]], starts[first][is_kept], covers[is_kept]
    )


def _best(values: Floats, count: int) -> NDArray[np.bool_]:
    """Return which are the `count` greatest; of equal ones the first."""
    is_best = np.zeros(len(values), np.bool_)
    is_best[np.argsort(-values, kind="stable")[:count]] = True
    return is_best


def _keep(lattice: Lattice, is_kept: NDArray[np.bool_]) -> Lattice:
    """Return the lattice of some of its pieces."""
    is_edge = is_kept[lattice.pieces]
    starts = lattice.starts[is_edge]
    return lattice._replace(
        edges=np.searchsorted(starts, np.arange(len(lattice.edges))),
        starts=starts,
        pieces=(np.cumsum(is_kept, dtype=np.int32) - 1)[lattice.pieces[is_edge]],
        lengths=lattice.lengths[is_kept],
        places=lattice.places[is_kept],
    )


def _fit(lattice: Lattice, scores: Floats) -> tuple[Lattice, Floats]:
    """Do a step of expectation-maximization; return the pieces that are left, and scores."""
    expected = expect(lattice, scores)
    is_kept = (expected >= LEAST_EXPECTED) | (lattice.lengths == 1)
    expected = np.maximum(expected[is_kept], LEAST_EXPECTED)
    # The digamma function makes rare pieces rarer (Bayesian M step of sentencepiece).
    return _keep(lattice, is_kept), digamma(expected) - digamma(expected.sum(keepdims=True))


def _first_scores(lattice: Lattice) -> Floats:
    """Return what a piece scores by the text that it covers."""
    sizes = np.diff(lattice.words)
    weights = np.repeat(lattice.counts, sizes)[lattice.starts]
    covers = np.bincount(lattice.pieces, weights, len(lattice.lengths)) * lattice.lengths
    scores: Floats = np.log(np.maximum(covers, LEAST_EXPECTED) / covers.sum())
    return scores


def _drop(lattice: Lattice, scores: Floats, target: int) -> tuple[Lattice, Floats]:
    """Keep all characters, and the other pieces whose loss would cost most, `target` in all.

    Where a piece is dropped, the text is spelt by the best other spelling of the piece.
    """
    used = best_spellings(lattice, scores)
    total = used.sum()
    others, parts = respell(lattice, scores, used)
    with np.errstate(divide="ignore", invalid="ignore"):
        now = np.log(used / total)
        then = others - parts * np.log(total + used * (parts - 1))
        losses = np.where(used > 0, used * (now - then), 0.0)
    losses[lattice.lengths == 1] = np.inf
    is_kept = _best(losses, target)
    return _keep(lattice, is_kept), scores[is_kept]


def digamma(values: Floats) -> Floats:
    """Return the derivative of the log of the gamma function, for values over 0.

    Abramowitz and Stegun 6.3.5 up to 6 and more, then 6.3.18; the error is under 1e-9.
    """
    values = values.copy()
    found = np.zeros_like(values)
    for _ in range(6):
        found -= 1 / values
        values += 1
    inverse = 1 / (values * values)
    series = inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse / 240)))
    result: Floats = found + np.log(values) - 0.5 / values - series
    return result
