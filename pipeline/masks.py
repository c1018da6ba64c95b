"""N-gram masks: which positions of a row are to be predicted, drawn once and stored as bitsets.

The scheme is ALBERT's (Lan et al. 2020, section 4.1; create_pretraining_data.py of
google-research/ALBERT): runs of 1 to 3 whole words, p(n) proportional to 1/n, placed in random
order without overlap. Unlike there, no run crosses [SEP], and every draw has a seed.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled
from pipeline.draws import draw_below, draw_unit

MASK_PROBABILITY = 0.15
"""Share of a row's tokens, special ones counted, that a mask set may cover."""
MAX_NGRAM = 3

NGRAM_LAW = np.array([1 / n for n in range(1, MAX_NGRAM + 1)])
NGRAM_LAW /= NGRAM_LAW.sum()


@compiled
def draw_masks(
    words: NDArray[np.int64],
    may_cover: NDArray[np.bool_],
    budget: int,
    stream: NDArray[np.uint64],
    bits: NDArray[np.uint8],
    drawn: NDArray[np.int64],
    placed: NDArray[np.int64],
) -> int:
    """Draw one mask set of one row into `bits`; return how many tokens it covers.

    Args:
        words: (W + 1,) position of each word's first token, then the end of the last word. The
            [SEP] between two segments is a word too, which may not be covered.
        may_cover: (W,) which words a run may cover; it never crosses one that it may not.
        budget: Tokens the set may cover.
        stream: The random stream, stepped.
        bits: (ceil(L/8),) zeroed; bit i % 8 of byte i // 8 is set for each covered position i.
        drawn: (MAX_NGRAM,) adds up n as drawn from the law.
        placed: (MAX_NGRAM,) adds up n as placed: redrawn among what fits when n does not.
    """
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
        ngram = _draw_ngram(stream, MAX_NGRAM)
        drawn[ngram - 1] += 1
        fitting = _fitting(words, is_covered, first, budget - covered)
        if fitting == 0:
            continue
        if ngram > fitting:
            ngram = _draw_ngram(stream, fitting)
        placed[ngram - 1] += 1
        is_covered[first : first + ngram] = True
        for position in range(words[first], words[first + ngram]):
            bits[position >> 3] |= 1 << (position & 7)
        covered += words[first + ngram] - words[first]
    return covered


@compiled
def _draw_ngram(stream: NDArray[np.uint64], longest: int) -> int:
    """Draw n from 1 to `longest` with p(n) proportional to 1/n."""
    left = draw_unit(stream) * NGRAM_LAW[:longest].sum()
    for n in range(1, longest):
        left -= NGRAM_LAW[n - 1]
        if left < 0:
            return n
    return longest


@compiled
def _fitting(
    words: NDArray[np.int64], is_covered: NDArray[np.bool_], first: int, budget: int
) -> int:
    """Return how many words from `first` on fit: uncovered, and within the budget."""
    fitting = 0
    for word in range(first, min(first + MAX_NGRAM, len(is_covered))):
        if is_covered[word]:
            break
        if words[word + 1] - words[first] > budget:
            break
        fitting += 1
    return fitting
