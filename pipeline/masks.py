"""N-gram masks: which positions of a row are to be predicted, drawn once and stored as bitsets.

The scheme is ALBERT's (Lan et al. 2020, section 4.1; create_pretraining_data.py of
google-research/ALBERT): runs of 1 to 3 whole words, p(n) proportional to 1/n, placed in random
order without overlap. Unlike there, no run crosses [SEP], and every draw has a seed. `spans` draws
n as SpanBERT does (Joshi et al. 2020, section 3.1), and `tokens` takes single tokens as BERT does.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled
from pipeline.draws import draw_below, draw_unit

SPAN_PROBABILITY = 0.2
"""p of the geometric law of `spans` (Joshi et al. 2020, section 3.1)."""

REDRAWS = 32
"""How often a set that equals an earlier one is drawn again: of four sets that are equally likely
the last is then missed once in ten thousand rows."""


def ngram_law(kind: str, longest: int) -> NDArray[np.float64]:
    """Return (longest,) the probability of runs of 1, 2, ... words, for a kind of mask."""
    n = np.arange(1, longest + 1)
    weights = (1 - SPAN_PROBABILITY) ** (n - 1) if kind == "spans" else 1 / n
    law: NDArray[np.float64] = weights / weights.sum()
    return law


@compiled
def draw_sets(
    words: NDArray[np.int64],
    may_cover: NDArray[np.bool_],
    budget: int,
    stream: NDArray[np.uint64],
    ngrams: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
    sets: NDArray[np.uint8],
) -> None:
    """Draw all mask sets of one row into `sets` (S, ceil(L/8)), zeroed.

    One that equals an earlier one is drawn again, `REDRAWS` times at most: in a short row there may
    be no other. The arguments are those of `draw_masks`.
    """
    placed = ngrams[2]
    for number in range(len(sets)):
        before = placed.copy()
        for _ in range(1 + REDRAWS):
            placed[:] = before
            sets[number] = 0
            covered = draw_masks(words, may_cover, budget, stream, ngrams, sets[number])
            if covered == 0 or not _is_among(sets[number], sets[:number]):
                break


@compiled
def _is_among(bits: NDArray[np.uint8], sets: NDArray[np.uint8]) -> bool:
    """Return whether one of `sets` (S, bytes) is `bits`."""
    for other in sets:
        at = 0
        while at < len(bits) and bits[at] == other[at]:
            at += 1
        if at == len(bits):
            return True
    return False


@compiled
def draw_masks(
    words: NDArray[np.int64],
    may_cover: NDArray[np.bool_],
    budget: int,
    stream: NDArray[np.uint64],
    ngrams: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
    bits: NDArray[np.uint8],
) -> int:
    """Draw one mask set of one row into `bits`; return how many tokens it covers.

    Args:
        words: (W + 1,) position of each word's first token, then the end of the last word. The
            [SEP] between two segments is a word too, which may not be covered.
        may_cover: (W,) which words a run may cover; it never crosses one that it may not.
        budget: Tokens the set may cover.
        stream: The random stream, stepped.
        ngrams: Three arrays (N,), for runs of 1, 2, ... words: their probability, how often each
            is drawn from that law, and how often placed (drawn again among what fits where it
            does not); the last two are added to.
        bits: (ceil(L/8),) zeroed; bit i % 8 of byte i // 8 is set for each covered position i.
    """
    law, drawn, placed = ngrams
    count = len(words) - 1
    order = np.arange(count)
    is_covered = ~may_cover
    covered = 0
    for turn in range(count):
        if covered == budget:
            break
        other = turn + draw_below(stream, count - turn)
        order[turn], order[other] = order[other], order[turn]
        first = order[turn]
        if is_covered[first]:
            continue
        ngram = _draw_ngram(stream, law)
        drawn[ngram - 1] += 1
        fitting = _fitting(words, is_covered, first, len(law), budget - covered)
        if fitting == 0:
            continue
        if ngram > fitting:
            ngram = _draw_ngram(stream, law[:fitting])
        placed[ngram - 1] += 1
        is_covered[first : first + ngram] = True
        for position in range(words[first], words[first + ngram]):
            bits[position >> 3] |= 1 << (position & 7)
        covered += words[first + ngram] - words[first]
    return covered


@compiled
def _draw_ngram(stream: NDArray[np.uint64], law: NDArray[np.float64]) -> int:
    """Draw n from 1 to len(law) with p(n) proportional to `law`."""
    left = draw_unit(stream) * law.sum()
    for n in range(1, len(law)):
        left -= law[n - 1]
        if left < 0:
            return n
    return len(law)


@compiled
def _fitting(
    words: NDArray[np.int64], is_covered: NDArray[np.bool_], first: int, most: int, budget: int
) -> int:
    """Return how many words from `first` on fit, up to `most`: uncovered, within the budget."""
    fitting = 0
    for word in range(first, min(first + most, len(is_covered))):
        if is_covered[word]:
            break
        if words[word + 1] - words[first] > budget:
            break
        fitting += 1
    return fitting
