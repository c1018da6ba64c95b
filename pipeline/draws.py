"""Random numbers from counters: a document's draws depend on its key alone, on no other document.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014): output n of key k is mix(k + n * GAMMA), so a stream is two integers.
"""

from typing import TypeVar

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from pipeline.compiled import compiled

Word = TypeVar("Word", np.uint64, NDArray[np.uint64])

_LENGTHS = np.uint64(0x6C656E677468)
"""Keeps the draws of rows of one length apart from those of another."""
GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32, _11 = (np.uint64(shift) for shift in (30, 27, 31, 32, 11))


@compiled
def mix(word: Word) -> Word:
    """Return `word` with its 64 bits well mixed: SplitMix64's finalizer."""
    word = (word ^ (word >> _30)) * _MULTIPLY_1
    word = (word ^ (word >> _27)) * _MULTIPLY_2
    return word ^ (word >> _31)


@compiled
def draw(stream: NDArray[np.uint64]) -> np.uint64:
    """Return 64 random bits and step `stream`, an array of one word."""
    stream[0] += GAMMA
    return mix(stream[0])


@compiled
def draw_below(stream: NDArray[np.uint64], bound: int) -> int:
    """Return a uniform integer in [0, bound), bound < 2**32; its bias is below bound / 2**32."""
    high = draw(stream) >> _32
    return int(np.int64((high * np.uint64(bound)) >> _32))


@compiled
def draw_unit(stream: NDArray[np.uint64]) -> float:
    """Return a uniform float in [0, 1) with 53 random bits."""
    return np.float64(draw(stream) >> _11) * 2.0**-53


def seeded_hash(text: str, seed: int) -> blake3:
    """Return the hash of a text, another one for each seed."""
    return blake3(text.encode(), key=seed.to_bytes(8, "little").ljust(32, b"\0"))


def document_keys(
    seed: int, source: str, first: int, count: int, repetition: int = 0
) -> NDArray[np.uint64]:
    """Return the keys of documents `first` to `first + count` of a source, all different."""
    root = seeded_hash(f"{source}\0{repetition}" if repetition else source, seed)
    start = np.uint64(int.from_bytes(root.digest(8), "little"))
    numbers = np.arange(first, first + count, dtype=np.uint64)
    return mix(start + numbers * GAMMA)


def keys_of_length(keys: NDArray[np.uint64], max_length: int) -> NDArray[np.uint64]:
    """Return the keys that documents have for rows of `max_length` tokens."""
    return mix(keys ^ mix(np.uint64(max_length) ^ _LENGTHS))
