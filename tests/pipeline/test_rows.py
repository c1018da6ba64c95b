import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.chunks import NO_CUT, make_chunks
from pipeline.draws import document_keys
from pipeline.masks import ngram_law
from pipeline.rows import make_rows
from shards.format import NO_LABEL, unpack_masks
from shards.rules import check_rows

NGRAM_LAW = ngram_law("ngram", 3)
DOCUMENTS = st.lists(st.lists(st.integers(1, 80), max_size=20), min_size=1, max_size=5)


def build(encoded, header, seed=0, first_document=0):
    """Chunk documents and make their rows."""
    keys = document_keys(seed, "books", 0, len(encoded.documents) - 1)
    chunks = make_chunks(
        encoded, keys, header.max_length, has_order=True, short_row_probability=0.1
    )
    numbers = np.arange(first_document, first_document + len(keys), dtype=np.uint32)
    return chunks, *make_rows(encoded, chunks, keys, header, numbers, NGRAM_LAW)


def masks_of(rows, header) -> np.ndarray:
    """Return (N, sets, L) booleans."""
    sets = [rows.mask_set(np.full(len(rows), s), header) for s in range(header.mask_sets)]
    return np.stack([unpack_masks(one, header.max_length) for one in sets], axis=1)


@given(DOCUMENTS, st.integers(8, 70), st.integers(0, 100), st.integers(1, 3))
def test_rows_keep_every_rule_of_the_format(made_up, make_header, documents, width, seed, sets):
    header = make_header(max_length=width, vocab_size=1 << 17, mask_sets=sets)
    _, rows, _ = build(made_up(documents, seed), header, seed)
    assert list(check_rows(header, rows)) == []


@given(DOCUMENTS, st.integers(8, 70), st.integers(0, 100))
def test_documents_are_restored_from_their_rows(made_up, make_header, documents, width, seed):
    """Un-swap each row by its label, put the rows in order: the text's tokens, all of them."""
    header = make_header(max_length=width, vocab_size=1 << 17)
    encoded = made_up(documents, seed)
    _, rows, _ = build(encoded, header, seed, first_document=100)
    restored: dict[int, list[list[int]]] = {}
    for number in range(len(rows)):
        length, second = int(rows.length[number]), int(rows.second_start[number])
        a = rows.input_ids[number, 1 : second - 1].tolist()
        b = rows.input_ids[number, second : length - 1].tolist() if second < length else []
        text = b + a if rows.sentence_order_label[number] == 1 else a + b
        restored.setdefault(int(rows.document[number]), []).append(text)
    bounds = encoded.sentences[encoded.documents]
    for number in range(len(documents)):
        expected = encoded.input_ids[bounds[number] : bounds[number + 1]].tolist()
        pieces = sorted(restored.pop(100 + number, []))  # made-up tokens count upwards
        assert [token for piece in pieces for token in piece] == expected
    assert restored == {}


def test_label_0_is_the_original_order_and_1_is_swapped(made_up, make_header):
    """In made-up documents every token is one more than the token before it."""
    _, rows, _ = build(made_up([[5] * 6] * 200), make_header(vocab_size=1 << 17, max_length=40))
    pairs = rows.second_start < rows.length
    first, second = rows.input_ids[:, 1], rows.input_ids[np.arange(len(rows)), rows.second_start]
    assert set(rows.sentence_order_label[pairs]) == {0, 1}
    assert np.array_equal(rows.sentence_order_label[pairs], (first > second)[pairs])
    assert (rows.sentence_order_label[~pairs] == NO_LABEL).all()


def test_a_cut_sentence_has_one_segment_and_no_label(made_up, make_header):
    chunks, rows, _ = build(made_up([[3, 400, 3, 3]]), make_header(vocab_size=1 << 17))
    assert chunks.is_piece.sum() >= 400 // 62
    assert (rows.sentence_order_label[chunks.is_piece] == NO_LABEL).all()
    assert np.array_equal(rows.second_start[chunks.is_piece], rows.length[chunks.is_piece])


@pytest.mark.parametrize(("vocab_size", "kind"), [(65536, np.uint16), (65537, np.uint32)])
def test_ids_are_of_the_headers_type(made_up, make_header, vocab_size, kind):
    header = make_header(vocab_size=vocab_size)
    encoded = made_up([[5, 5]])
    encoded.input_ids[0] = vocab_size - 1
    _, rows, _ = build(encoded, header)
    assert rows.input_ids.dtype == kind
    assert rows.input_ids.max() == vocab_size - 1
    assert list(check_rows(header, rows)) == []


def test_no_chunks_make_no_rows(made_up, make_header):
    _, rows, ngrams = build(made_up([[], []]), make_header())
    assert (len(rows), rows.input_ids.shape, ngrams.drawn.sum()) == (0, (0, 64), 0)


def test_masks_cover_whole_words(encoded, make_header):
    header = make_header()
    chunks, rows, _ = build(encoded, header)
    masks = masks_of(rows, header)
    for number in range(300):
        cut, swapped = chunks.cut[number], chunks.is_swapped[number]
        halves = [(chunks.start[number], chunks.stop[number])]
        if cut != NO_CUT:
            halves = [(chunks.start[number], cut), (cut, chunks.stop[number])]
        place = 1
        for first, last in reversed(halves) if swapped else halves:
            words = np.cumsum(encoded.is_word_start[first:last])
            for one in masks[number, :, place : place + last - first]:
                covered = set(words[one])
                assert not covered & set(words[~one])
            place += last - first + 1


def test_runs_of_masks_do_not_cross_the_middle_sep(encoded, make_header):
    header = make_header()
    _, rows, _ = build(encoded, header)
    middle = masks_of(rows, header)[np.arange(len(rows)), :, rows.second_start - 1]
    assert not middle.any()


def test_a_set_masks_15_percent_of_the_tokens(encoded, make_header):
    header = make_header()
    _, rows, _ = build(encoded, header)
    masks = masks_of(rows, header)
    for which in range(header.mask_sets):
        share = masks[:, which].sum() / rows.length.sum(dtype=np.int64)
        assert share == pytest.approx(0.15, abs=0.002)


def test_the_mask_sets_of_a_row_differ_and_are_independent(encoded, make_header):
    header = make_header()
    _, rows, _ = build(encoded, header)
    masks = masks_of(rows, header)
    full = rows.length > 50
    for other in range(1, header.mask_sets):
        both = (masks[full, 0] & masks[full, other]).sum() / masks[full, 0].sum()
        assert both == pytest.approx(0.16, abs=0.02)  # 15 % of the row, special tokens aside


def test_n_grams_are_drawn_by_the_law(encoded, make_header):
    _, _, ngrams = build(encoded, make_header())
    expected = NGRAM_LAW * ngrams.drawn.sum()
    assert ngrams.drawn.sum() > 50_000
    assert stats.chisquare(ngrams.drawn, expected).pvalue > 0.0027  # 3 sigma


def test_other_seeds_draw_other_masks(made_up, make_header):
    """A document that fits one sentence has the same row, and other masks."""
    rows = [build(made_up([[60]]), make_header(), seed)[1] for seed in (0, 1)]
    assert np.array_equal(rows[0].input_ids, rows[1].input_ids)
    assert not np.array_equal(rows[0].masks, rows[1].masks)


def test_equal_texts_of_two_documents_have_different_masks(made_up, make_header):
    _, rows, _ = build(made_up([[60], [60]], word_starts=1.0), make_header())
    assert not np.array_equal(rows.masks[0], rows.masks[1])


def test_two_chunks_of_a_document_have_different_masks(made_up, make_header):
    _, rows, _ = build(made_up([[60, 60]], word_starts=1.0), make_header())
    assert not np.array_equal(rows.masks[0], rows.masks[1])


def test_more_mask_sets_do_not_change_the_first_ones(made_up, make_header):
    encoded = made_up([[20] * 10])
    few = masks_of(build(encoded, make_header(mask_sets=2))[1], make_header(mask_sets=2))
    more = masks_of(build(encoded, make_header(mask_sets=5))[1], make_header(mask_sets=5))
    assert np.array_equal(more[:, :2], few)


def test_documents_are_numbered_from_the_first(made_up, make_header):
    _, rows, _ = build(made_up([[5], [], [5]]), make_header(), first_document=7)
    assert rows.document.tolist() == [7, 9]
