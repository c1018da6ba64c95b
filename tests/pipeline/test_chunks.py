from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chunks import (
    BLOCK_SENTENCES,
    NO_CUT,
    ONE_SEGMENT_PROBABILITY,
    Chunks,
    fewest_rows,
    make_chunks,
)
from pipeline.config import SHORT_ROW_PROBABILITY
from pipeline.draws import document_keys
from pipeline.encode import EncodedDocuments

LENGTHS = st.integers(1, 12) | st.integers(1, 90)
DOCUMENTS = st.lists(st.lists(LENGTHS, max_size=30), max_size=6)
WIDTHS = st.integers(8, 64)
SEEDS = st.integers(0, 1000)
SHARE_OF_WORD_STARTS = st.sampled_from([0.0, 0.05, 0.6, 1.0])


RULES = {"has_order": True, "short_row_probability": SHORT_ROW_PROBABILITY}


def chunk(encoded: EncodedDocuments, max_length: int, seed: int = 0) -> Chunks:
    keys = document_keys(seed, "books", 0, len(encoded.documents) - 1)
    return make_chunks(encoded, keys, max_length, **RULES)


def in_order(chunks: Chunks) -> Chunks:
    order = np.argsort(chunks.start)
    return Chunks(**{name: column[order] for name, column in vars(chunks).items()})


@given(DOCUMENTS, WIDTHS, SEEDS, SHARE_OF_WORD_STARTS)
def test_every_token_is_in_exactly_one_chunk(made_up, documents, width, seed, share):
    encoded = made_up(documents, seed, share)
    chunks = in_order(chunk(encoded, width, seed))
    bounds = np.append(chunks.start, len(encoded.input_ids))
    if len(encoded.input_ids):
        assert bounds[0] == 0
        assert chunks.stop.tolist() == bounds[1:].tolist()
    assert (chunks.stop > chunks.start).all()


@given(DOCUMENTS, WIDTHS, SEEDS, SHARE_OF_WORD_STARTS)
def test_a_chunk_fits_a_row_with_its_special_tokens(made_up, documents, width, seed, share):
    chunks = chunk(made_up(documents, seed, share), width, seed)
    specials = np.where(chunks.cut == NO_CUT, 2, 3)
    assert (chunks.stop - chunks.start + specials <= width).all()


@given(DOCUMENTS, WIDTHS, SEEDS)
def test_a_chunk_lies_in_its_document(made_up, documents, width, seed):
    encoded = made_up(documents, seed)
    chunks = chunk(encoded, width, seed)
    bounds = encoded.sentences[encoded.documents]
    assert (bounds[chunks.document] <= chunks.start).all()
    assert (chunks.stop <= bounds[chunks.document + 1]).all()
    assert (np.diff(chunks.document) >= 0).all()


@given(DOCUMENTS, WIDTHS, SEEDS, SHARE_OF_WORD_STARTS)
def test_only_sentences_longer_than_a_row_are_cut(made_up, documents, width, seed, share):
    encoded = made_up(documents, seed, share)
    chunks = chunk(encoded, width, seed)
    sentence = np.searchsorted(encoded.sentences, chunks.start, side="right") - 1
    is_long = np.diff(encoded.sentences) > width - 2
    assert np.array_equal(chunks.is_piece, is_long[sentence])
    whole = ~chunks.is_piece
    assert np.isin(chunks.start[whole], encoded.sentences).all()
    assert np.isin(chunks.stop[whole], encoded.sentences).all()


@given(DOCUMENTS, WIDTHS, SEEDS, SHARE_OF_WORD_STARTS)
def test_a_long_sentence_is_cut_at_words_where_there_are_any(
    made_up, documents, width, seed, share
):
    encoded = made_up(documents, seed, share)
    pieces = in_order(chunk(encoded, width, seed))
    room = width - 2
    cuts = pieces.is_piece & ~np.isin(pieces.stop, encoded.sentences)
    for start, stop in zip(pieces.start[cuts], pieces.stop[cuts], strict=True):
        starts = np.flatnonzero(encoded.is_word_start[start + 1 : start + room + 1]) + start + 1
        assert stop == (starts[-1] if len(starts) else start + room)


@given(DOCUMENTS, WIDTHS, SEEDS)
def test_a_pair_is_cut_at_a_sentence_strictly_inside(made_up, documents, width, seed):
    encoded = made_up(documents, seed)
    chunks = chunk(encoded, width, seed)
    pairs = chunks.cut != NO_CUT
    assert (chunks.start[pairs] < chunks.cut[pairs]).all()
    assert (chunks.cut[pairs] < chunks.stop[pairs]).all()
    assert np.isin(chunks.cut[pairs], encoded.sentences).all()


@given(DOCUMENTS, WIDTHS, SEEDS)
def test_a_chunk_is_a_pair_when_it_has_two_sentences_or_more(made_up, documents, width, seed):
    encoded = made_up(documents, seed)
    chunks = chunk(encoded, width, seed)
    first = np.searchsorted(encoded.sentences, chunks.start, side="right") - 1
    last = np.searchsorted(encoded.sentences, chunks.stop, side="left")
    assert np.array_equal(chunks.cut != NO_CUT, (last - first > 1) & ~chunks.is_piece)


@given(DOCUMENTS, WIDTHS, SEEDS)
def test_only_pairs_are_swapped(made_up, documents, width, seed):
    chunks = chunk(made_up(documents, seed), width, seed)
    assert not chunks.is_swapped[chunks.cut == NO_CUT].any()


@given(DOCUMENTS, WIDTHS, SEEDS)
def test_chunks_of_a_document_do_not_depend_on_its_neighbours(made_up, documents, width, seed):
    encoded = made_up(documents, seed)
    keys = document_keys(seed, "books", 0, len(documents))
    together = make_chunks(encoded, keys, width, **RULES)
    for number in range(len(documents)):
        first, last = encoded.documents[number], encoded.documents[number + 1]
        low, high = encoded.sentences[first], encoded.sentences[last]
        alone = EncodedDocuments(
            encoded.input_ids[low:high],
            encoded.is_word_start[low:high],
            encoded.is_punctuation[low:high],
            encoded.sentences[first : last + 1] - low,
            np.array([0, last - first]),
        )
        expected = make_chunks(alone, keys[number : number + 1], width, **RULES)
        mine = together.document == number
        assert (together.start[mine] - low).tolist() == expected.start.tolist()
        assert together.is_swapped[mine].tolist() == expected.is_swapped.tolist()


def test_no_documents_give_no_chunks(made_up):
    assert len(chunk(made_up([]), 16)) == 0
    assert len(chunk(made_up([[], []]), 16)) == 0


def test_a_block_of_256_sentences_ends_a_chunk(made_up):
    encoded = made_up([[1] * (3 * BLOCK_SENTENCES)])
    borders = encoded.sentences[::BLOCK_SENTENCES]
    for seed in range(5):
        assert np.isin(borders[:-1], chunk(encoded, 24, seed).start).all()


def test_blocks_are_filled_from_either_end(made_up):
    """Chunks of full length stand at the block's front, or at its back, half and half."""
    encoded = made_up([[10] * 7] * 400)  # 3 sentences a chunk: the odd one is left at an end
    chunks = chunk(encoded, 34)
    odd = chunks.stop - chunks.start == 10
    first = np.isin(chunks.start, encoded.sentences[encoded.documents[:-1]])
    usual = np.bincount(chunks.document[odd], minlength=400) == 1  # no short row drawn
    at_front = (odd & first & usual[chunks.document]).sum() / usual.sum()
    assert at_front == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(usual.sum()))


def test_about_a_tenth_of_the_chunks_is_short_by_chance(made_up):
    """Sentences of one token: only a smaller target makes a chunk short, or a block's end."""
    encoded = made_up([[1] * 250] * 200)
    chunks = chunk(encoded, 28)  # full chunks hold 25
    sizes = chunks.stop - chunks.start
    left = np.ones(len(chunks), bool)
    for document in range(200):  # the last chunk that was filled holds what was left
        mine = np.flatnonzero(chunks.document == document)
        left[mine[-1]] = False
    short = (sizes[left] < 25).mean()
    expected = SHORT_ROW_PROBABILITY * 23 / 24  # a target of 2 to 25, all alike
    assert short == pytest.approx(expected, abs=3 * np.sqrt(0.09 / left.sum()))


def test_about_half_of_the_pairs_are_swapped(encoded):
    swapped = np.concatenate(
        [one.is_swapped[one.cut != NO_CUT] for one in (chunk(encoded, 32, s) for s in range(10))]
    )
    assert len(swapped) > 10_000
    assert swapped.mean() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(len(swapped)))


def test_every_boundary_inside_a_chunk_is_as_likely_a_cut(made_up):
    encoded = made_up([[7] * 3] * 6000)  # all 3 sentences fit a row
    chunks = chunk(encoded, 32)
    whole = chunks.stop - chunks.start == 21
    at_first = (chunks.cut - chunks.start)[whole] == 7
    assert at_first.mean() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(whole.sum()))


def test_chunks_depend_on_the_seed(encoded):
    assert chunk(encoded, 64, 1).start.tolist() != chunk(encoded, 64, 2).start.tolist()


def test_a_tenth_of_the_chunks_of_segments_stays_one(made_up):
    encoded = made_up([[7] * 3] * 20_000)  # all 3 sentences fit a row
    keys = document_keys(0, "books", 0, 20_000)
    chunks = make_chunks(encoded, keys, 32, has_order=False, short_row_probability=0)
    assert len(chunks) == 20_000
    sigma = np.sqrt(0.1 * 0.9 / 20_000)
    share = (chunks.cut == NO_CUT).mean()
    assert share == pytest.approx(ONE_SEGMENT_PROBABILITY, abs=3 * sigma)
    assert ONE_SEGMENT_PROBABILITY == 0.1


def ways(sentences: list[int], width: int) -> set[tuple[int, int]]:
    """Return the rows and tokens of each way to fill rows with whole sentences in their order."""
    found = set()
    for joins in product([False, True], repeat=max(0, len(sentences) - 1)):
        groups: list[list[int]] = [[sentences[0]]] if sentences else []
        for join, sentence in zip(joins, sentences[1:], strict=True):
            groups = [*groups[:-1], [*groups[-1], sentence]] if join else [*groups, [sentence]]
        rows = [(max(1, -(-sum(one) // (width - 2))), len(one), sum(one)) for one in groups]
        if any(count > 1 and tokens > width - 3 for _, count, tokens in rows):
            continue
        pieces = sum(number for number, _, _ in rows)
        specials = sum(3 if count > 1 else 2 * number for number, count, _ in rows)
        found.add((pieces, sum(sentences) + specials))
    return found


@given(st.lists(st.lists(st.integers(1, 9) | st.integers(1, 40), max_size=7), max_size=3))
def test_no_filling_is_fuller_than_the_bound(made_up, documents):
    """Every way to fill every document is tried."""
    width = 24
    if not any(documents):
        return
    each = [ways(document, width) for document in documents]
    every = {(0, 0)}
    for of_document in each:
        every = {(a + c, b + d) for a, b in every for c, d in of_document}
    rows, tokens = fewest_rows(made_up(documents), width)
    assert rows == min(number for number, _ in every)
    fullest = max(kept / number for number, kept in every)
    assert fullest <= tokens / rows + 1e-12
    assert tokens / rows <= fullest + 1  # less than a special token a row too much
