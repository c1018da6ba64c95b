"""WordPiece in machine code: of each word the longest piece, then of the rest, and so on."""

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


class WordPieces(NamedTuple):
    """A WordPiece vocabulary.

    Attributes:
        begin: Pieces that begin a word.
        inside: Pieces that follow, without "##".
        fold: What characters become.
        unknown: (1,) uint32, id of [UNK].
    """

    begin: Trie
    inside: Trie
    fold: Fold
    unknown: NDArray[np.uint32]


@compiled
def spell_wordpieces(
    model: WordPieces,
    words: Table,
    first: Index,
    last: Index,
    plain: Flags,
    out: Spelling,
    dropout: Dropout,
) -> None:
    """Spell the plain words numbered from `first` to before `last`."""
    raw, text = np.empty(LONGEST + 1, np.uint8), np.empty(LONGEST, np.uint8)
    probability, stream = dropout.probability, np.zeros(1, np.uint64)
    unknown = model.unknown[0]
    for word in range(first, last):
        if not plain[word]:
            continue
        length, is_punctuation = fold_word(model.fold, words, word, raw, text, 0)
        if length != NONE:
            if probability > 0:
                stream[0] = dropout.keys[word]
            out.first[word] = out.used[0]
            used = _write_pieces(
                (model.begin, model.inside, unknown),
                (probability, stream),
                text,
                length,
                out.ids,
                out.used[0],
            )
            finish(out, word, used, is_punctuation)


@compiled
def _write_pieces(
    model: tuple[Trie, Trie, np.uint32],
    dropout: tuple[float, NDArray[np.uint64]],
    text: Bytes,
    length: Index,
    ids: NDArray[np.uint32],
    used: Index,
) -> Index:
    """Write the longest pieces, one after another; return where they end."""
    begin, inside, unknown = model
    probability, stream = dropout
    base, check, pieces = begin
    start, at = 0, used
    while start < length:
        piece: Index = NO_PIECE
        stop, end, state = start, start, ROOT
        while end < length:
            place = base[state] + text[end]
            if check[place] != state:
                break
            state, end = place, end + 1
            if pieces[state] != NO_PIECE and (
                piece == NO_PIECE or not is_passed_over(probability, stream)
            ):
                piece, stop = pieces[state], end
        if piece == NO_PIECE:  # one piece that is not there makes the whole word [UNK]
            ids[used] = unknown
            return used + 1
        ids[at] = piece
        at += 1
        start = stop
        base, check, pieces = inside
    return at
