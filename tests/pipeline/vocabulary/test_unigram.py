import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma as scipys

from pipeline.vocabulary.lattice import best_spellings, expect
from pipeline.vocabulary.unigram import LONGEST_PIECE, _seed, digamma, train_pieces

WORDS = {"▁low": 5, "▁lower": 2, "▁newest": 6, "▁widest": 3, "▁west": 4, "▁slow": 3}
ALPHABET = sorted(set("".join(WORDS)))


def test_digamma_is_that_of_scipy():
    values = np.array([1e-3, 0.5, 1, 1.5, 6, 7, 100.5, 1e6, 1e12])
    assert np.allclose(digamma(values), scipys(values), rtol=1e-9, atol=1e-9)


def spellings(word: str, pieces: dict[str, float]) -> list[list[str]]:
    """Return all ways to spell a word."""
    if not word:
        return [[]]
    return [
        [word[:length], *rest]
        for length in range(1, len(word) + 1)
        if word[:length] in pieces
        for rest in spellings(word[length:], pieces)
    ]


@pytest.fixture(scope="module")
def seeded():
    """The first lattice of WORDS, made-up scores, and the pieces by name."""
    text = "".join(WORDS)
    lattice = _seed(text, WORDS)
    scores = -np.random.default_rng(0).uniform(1, 5, len(lattice.lengths))
    names = [
        text[place : place + length]
        for place, length in zip(lattice.places, lattice.lengths, strict=True)
    ]
    return lattice, scores, names


def test_every_substring_that_is_met_twice_is_a_seed(seeded):
    substrings = {
        word[start:end]
        for word in WORDS
        for start in range(len(word))
        for end in range(start + 1, len(word) + 1)
    }
    names = seeded[2]
    assert len(set(names)) == len(names)
    assert set(names) == substrings  # every word stands twice or more in the text


def test_expected_counts_are_those_over_all_spellings(seeded):
    lattice, scores, names = seeded
    pieces = dict(zip(names, scores.tolist(), strict=True))
    expected = dict.fromkeys(names, 0.0)
    for word, count in WORDS.items():
        ways = spellings(word, pieces)
        weights = [math.exp(sum(map(pieces.get, way))) for way in ways]
        for way, weight in zip(ways, weights, strict=True):
            for piece in way:
                expected[piece] += count * weight / sum(weights)
    assert np.allclose(expect(lattice, scores), [expected[name] for name in names])


def test_the_best_spellings_are_the_best_of_all(seeded):
    lattice, scores, names = seeded
    pieces = dict(zip(names, scores.tolist(), strict=True))
    used = dict.fromkeys(names, 0.0)
    for word, count in WORDS.items():
        for piece in max(spellings(word, pieces), key=lambda way: sum(map(pieces.get, way))):
            used[piece] += count
    assert best_spellings(lattice, scores).tolist() == [used[name] for name in names]


def test_pieces_are_as_many_as_asked_the_likeliest_first():
    pieces = train_pieces(WORDS, ALPHABET, len(ALPHABET) + 5)
    assert len(pieces) == len(ALPHABET) + 5
    assert set(ALPHABET) <= {piece for piece, _ in pieces}
    assert all(one >= other for (_, one), (_, other) in pairwise(pieces))


def test_frequent_words_become_pieces():
    assert "▁low" in dict(train_pieces({"▁low": 900, "▁wol": 1, "▁owl": 1}, list("▁low"), 5))


def test_a_piece_is_of_one_script():
    words = {"▁end.": 90, "▁(end": 80, "▁12,": 70, "▁ωend": 60, "▁3rd": 50, "▁12": 9}
    pieces = dict(train_pieces(words, sorted(set("".join(words))), 200))
    assert {"▁end", "▁(", "▁12,"} <= set(pieces)
    for piece in pieces:
        assert re.fullmatch(r"▁|▁?(?:[a-z]+|ω+|[0-9.,()]+)", piece)


def test_the_order_of_the_words_does_not_matter():
    turned = dict(reversed(WORDS.items()))
    assert train_pieces(turned, ALPHABET, 20) == train_pieces(WORDS, ALPHABET, 20)


def test_a_character_outside_of_the_alphabet_is_in_no_piece():
    pieces = train_pieces({"▁naïve": 50, "▁naïf": 20}, list("▁naef"), 30)
    assert not any("ï" in piece or "v" in piece for piece, _ in pieces)


@given(st.dictionaries(st.text("ab▁é", min_size=1, max_size=40), st.integers(1, 9), min_size=1))
def test_any_words_give_pieces_of_their_own(words):
    alphabet = sorted(set("".join(words)))
    pieces = train_pieces(words, alphabet, 12)
    assert len(alphabet) <= len(pieces) <= max(12, len(alphabet))
    for piece, score in pieces:
        assert len(piece) <= LONGEST_PIECE
        assert score <= 0
        assert any(piece in word for word in words)
