"""Unigram in machine code: the most probable pieces of a word (Viterbi).

The order of the sums is that of `encode_optimized` in tokenizers/src/models/unigram/model.rs of
https://github.com/huggingface/tokenizers, so that equal scores are told apart as there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, compiled
from pipeline.words.spelling import (
    LONGEST,
    NONE,
    Dropout,
    Flags,
    Fold,
    Spelling,
    finish,
    fold_word,
    is_passed_over,
)
from pipeline.words.table import Bytes, Table
from pipeline.words.trie import NO_PIECE, ROOT, Trie

METASPACE = "\N{LOWER ONE EIGHTH BLOCK}"
UNKNOWN_PENALTY = 10.0
"""An unknown character scores so much less than the least piece (K_UNK_PENALTY of model.rs)."""


class Pieces(NamedTuple):
    """A Unigram vocabulary.

    Attributes:
        trie: Its pieces.
        scores: (V,) float64, log probability of each piece, by id.
        fold: What characters become.
        unknown: (1,) uint32, id of the unknown piece.
        mark: (3,) uint8, METASPACE, with which each word begins.
    """

    trie: Trie
    scores: NDArray[np.float64]
    fold: Fold
    unknown: NDArray[np.uint32]
    mark: Bytes


class Path(NamedTuple):
    """The best way to each byte of a word.

    Attributes:
        scores: (bytes + 1,) float64.
        begins: (bytes + 1,) int64, where its last piece begins; NONE: there is no way.
        ids: (bytes + 1,) uint32, its last piece.
    """

    scores: NDArray[np.float64]
    begins: NDArray[np.int64]
    ids: NDArray[np.uint32]


@compiled
def spell_unigram(
    model: Pieces,
    words: Table,
    first: Index,
    last: Index,
    plain: Flags,
    out: Spelling,
    dropout: Dropout,
) -> None:
    """Spell the plain words numbered from `first` to before `last`."""
    mark = len(model.mark)
    size = LONGEST + mark
    raw, text = np.empty(LONGEST + 1, np.uint8), np.empty(size, np.uint8)
    text[:mark] = model.mark
    path = Path(np.empty(size + 1), np.empty(size + 1, np.int64), np.empty(size + 1, np.uint32))
    probability, stream = dropout.probability, np.zeros(1, np.uint64)
    scores, unknown = model.scores, model.unknown[0]
    unknown_score = scores.min() - UNKNOWN_PENALTY
    for word in range(first, last):
        if not plain[word]:
            continue
        length, is_punctuation = fold_word(model.fold, words, word, raw, text, mark)
        if length != NONE:
            if probability > 0:
                stream[0] = dropout.keys[word]
            _find_path(
                model.trie,
                (scores, unknown, unknown_score),
                (probability, stream),
                text,
                length,
                path,
            )
            out.first[word] = out.used[0]
            used = _write_path(path, length, unknown, out.ids, out.used[0])
            finish(out, word, used, is_punctuation)


@compiled
def _find_path(
    trie: Trie,
    model: tuple[NDArray[np.float64], np.uint32, float],
    dropout: tuple[float, NDArray[np.uint64]],
    text: Bytes,
    length: Index,
    path: Path,
) -> None:
    base, check, pieces = trie
    scores, unknown, unknown_score = model
    probability, stream = dropout
    best, begins, ids = path
    best[0] = 0.0
    begins[: length + 1] = NONE
    begin = 0
    while begin < length:
        here = best[begin]
        after = begin + 1
        while after < length and text[after] & 0xC0 == 0x80:
            after += 1
        is_known, state = False, ROOT
        for end in range(begin + 1, length + 1):
            place = base[state] + text[end - 1]
            if check[place] != state:
                break
            state = place
            piece = pieces[state]
            if piece != NO_PIECE and (end <= after or not is_passed_over(probability, stream)):
                score = here + scores[piece]
                if begins[end] == NONE or score > best[end]:
                    best[end], begins[end], ids[end] = score, begin, piece
                is_known = is_known or end == after
        if not is_known and (begins[after] == NONE or here + unknown_score > best[after]):
            best[after], begins[after], ids[after] = here + unknown_score, begin, unknown
        begin = after


@compiled
def _write_path(
    path: Path, length: Index, unknown: np.uint32, ids: NDArray[np.uint32], used: Index
) -> Index:
    """Write the pieces of the best way, unknown neighbours as one; return where they end."""
    count, end, was_unknown = 0, length, False
    while end > 0:
        is_unknown = path.ids[end] == unknown
        if not (is_unknown and was_unknown):
            ids[used + count] = path.ids[end]
            count += 1
        was_unknown = is_unknown
        end = path.begins[end]
    for offset in range(count // 2):
        other = used + count - 1 - offset
        ids[used + offset], ids[other] = ids[other], ids[used + offset]
    return used + count
