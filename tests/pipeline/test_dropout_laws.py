"""Words are divided at random by the laws that docs/data.md states: probabilities, computed."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
import pytest
from scipy import stats
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from pipeline.encode import Encoder
from pipeline.words.bpe import byte_characters
from pipeline.words.spelling import Dropout

DRAWS = 20_000
MERGES = [("a", "b"), ("b", "a"), ("ab", "a"), ("ab", "ab"), ("aba", "b"), ("a", "a")]
PIECES = ["a", "b", "ab", "aba", "abab", "##a", "##b", "##ab", "##ba", "##bab"]
SCORES = {"a": -2.0, "b": -2.5, "ab": -3.0, "aba": -4.0, "bab": -3.5, "\u2581": -1.0}
Law = dict[tuple[str, ...], float]


def bpe() -> Tokenizer:
    names = [*byte_characters(), *(left + right for left, right in MERGES)]
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(models.BPE(vocabulary, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def wordpiece() -> Tokenizer:
    vocabulary = {name: number for number, name in enumerate(["[UNK]", *PIECES])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([("<unk>", -9.0), *SCORES.items()], 0, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def law_of_bpe(word: str, p: float) -> Law:
    """Algorithm 1 of Provilkov et al. 2020: before each merge every pair is dropped or not."""
    law: Law = defaultdict(float)

    def merge(symbols: tuple[str, ...], chance: float) -> None:
        ranked = [
            (MERGES.index(two), at) for at, two in enumerate(pairwise(symbols)) if two in MERGES
        ]
        for _, at in sorted(ranked):
            merged = (*symbols[:at], symbols[at] + symbols[at + 1], *symbols[at + 2 :])
            merge(merged, chance * (1 - p))
            chance *= p
        law[symbols] += chance

    merge(tuple(word), 1.0)
    return law


def law_of_wordpiece(word: str, p: float) -> Law:
    """Of the pieces that fit, all but the shortest are passed over with p; the longest is taken."""
    law: Law = defaultdict(float)

    def go_on(done: tuple[str, ...], rest: str, chance: float) -> None:
        if not rest:
            law[done] += chance
            return
        mark = "##" if done else ""
        fitting = [size for size in range(1, len(rest) + 1) if mark + rest[:size] in PIECES]
        for size in reversed(fitting):
            taken = 1.0 if size == fitting[0] else 1 - p
            go_on((*done, mark + rest[:size]), rest[size:], chance * taken)
            chance *= p

    go_on((), word, 1.0)
    return law


def law_of_unigram(word: str, p: float) -> Law:
    """Each piece of several characters, wherever it fits, is dropped with p; then the best way."""
    text = "\u2581" + word
    spans = [
        (first, last)
        for first in range(len(text))
        for last in range(first + 1, len(text) + 1)
        if text[first:last] in SCORES
    ]
    droppable = [span for span in spans if span[1] - span[0] > 1]
    law: Law = defaultdict(float)
    for kept in product([True, False], repeat=len(droppable)):
        chance = float(np.prod([1 - p if one else p for one in kept]))
        dropped = {span for span, one in zip(droppable, kept, strict=True) if not one}
        left = [span for span in spans if span not in dropped]
        best = max(
            divisions(left, 0, len(text)), key=lambda way: sum(SCORES[text[a:b]] for a, b in way)
        )
        law[tuple(text[a:b] for a, b in best)] += chance
    return law


def divisions(
    spans: list[tuple[int, int]], first: int, end: int
) -> Iterator[list[tuple[int, int]]]:
    """Yield every way from `first` to `end`."""
    if first == end:
        yield []
    for span in spans:
        if span[0] == first:
            for rest in divisions(spans, span[1], end):
                yield [span, *rest]


LAWS = {
    "bpe": (bpe, law_of_bpe),
    "wordpiece": (wordpiece, law_of_wordpiece),
    "unigram": (unigram, law_of_unigram),
}


@pytest.mark.parametrize("kind", LAWS)
@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("word", ["abab", "aabba", "babab"])
def test_words_are_divided_by_the_law_of_their_model(kind, p, word):
    make, law_of = LAWS[kind]
    tokenizer = make()
    encoder = Encoder(tokenizer)
    encoder._unchecked = 0
    assert encoder.path == "columnar"
    law = law_of(word, p)
    assert sum(law.values()) == pytest.approx(1)
    usual = tuple(tokenizer.encode(word).tokens)
    assert law[usual] == max(law.values()) or p > 0.1
    keys = np.arange(DRAWS, dtype=np.uint64)
    found = encoder.encode([word] * DRAWS, [()] * DRAWS, Dropout(p, keys))
    tokens = [tokenizer.id_to_token(number) for number in found.input_ids.tolist()]
    drawn = Counter(tuple(tokens[first:last]) for first, last in pairwise(found.units.tolist()))
    assert set(drawn) <= {way for way, chance in law.items() if chance > 0}
    assert_drawn_by(law, drawn)


def assert_drawn_by(law: Law, drawn: Counter) -> None:
    """Compare at 3 sigma; what is expected less than five times is one kind."""
    kinds = [(drawn[way], chance * DRAWS) for way, chance in law.items() if chance > 0]
    common = [kind for kind in kinds if kind[1] >= 5]
    rare = [kind for kind in kinds if kind[1] < 5]
    if sum(expected for _, expected in rare) >= 5:
        common.append((sum(one for one, _ in rare), sum(expected for _, expected in rare)))
    observed, expected = map(np.array, zip(*common, strict=True))
    if len(common) > 1:
        scaled = expected * observed.sum() / expected.sum()
        assert stats.chisquare(observed, scaled).pvalue > 0.0027
