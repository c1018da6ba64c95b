import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.draws import document_keys
from pipeline.encode import EncodedDocuments
from pipeline.layouts import StreamRows
from pipeline.stream import Stream, first_length
from shards.format import concatenate
from shards.rules import check_rows

DOCUMENTS = st.lists(st.lists(st.integers(5, 90), min_size=1, max_size=40), max_size=8)
WIDTH = 16


def rows_of(header, blocks, first=WIDTH):
    """Return all rows of blocks of documents, in order."""
    stream, before, parts = Stream(header, first), 0, []
    for documents in blocks:
        ids = np.array([token for document in documents for token in document], np.uint32)
        ends = np.cumsum([len(document) for document in documents], dtype=np.int64)
        numbers = np.arange(before, before + len(documents), dtype=np.uint32)
        parts.append(stream.add(ids, ends, numbers))
        before += len(documents)
    return concatenate([*parts, stream.rest()])


@given(
    blocks=st.lists(DOCUMENTS, min_size=1, max_size=4),
    width=st.integers(8, 50),
    shorter=st.integers(0, 7),
)
def test_a_stream_is_the_documents_with_an_end_after_each(make_header, blocks, width, shorter):
    header = make_header(layout="stream", mask_sets=0, max_length=width, vocab_size=100)
    first = width - shorter
    rows = rows_of(header, blocks, first)
    assert list(check_rows(header, rows)) == []
    real = [rows.input_ids[row, : rows.length[row]].tolist() for row in range(len(rows))]
    expected, owner = [], []
    for number, document in enumerate(document for block in blocks for document in block):
        expected += [*document, header.sep_token_id]
        owner += [number] * (len(document) + 1)
    assert [token for row in real for token in row] == expected
    assert (rows.length[1:-1] == width).all()
    assert (rows.length[:-1][:1] == first).all()
    assert rows.document.tolist() == [*owner[:1], *owner[first::width]]


@given(blocks=st.lists(DOCUMENTS, min_size=1, max_size=4), first=st.integers(1, WIDTH))
def test_how_documents_come_changes_nothing(make_header, blocks, first):
    header = make_header(layout="stream", mask_sets=0, max_length=WIDTH, vocab_size=100)
    apart = rows_of(header, blocks, first)
    together = rows_of(header, [[document for block in blocks for document in block]], first)
    for name, column in vars(apart).items():
        assert np.array_equal(column, vars(together)[name]), name


def test_the_first_row_is_full_at_first_and_of_any_other_length_again():
    keys = [document_keys(0, "books", number, 1, 1) for number in range(3000)]
    assert {first_length(WIDTH, key, 0) for key in keys} == {WIDTH}
    assert {first_length(WIDTH, key, 1) for key in keys} == set(range(1, WIDTH))
    both = np.array([[first_length(width, key, 1) for width in (16, 17)] for key in keys])
    assert abs(np.corrcoef(both.T)[0, 1]) < 3 / np.sqrt(len(keys))  # lengths of their own


def test_documents_without_tokens_leave_nothing(make_header, made_up):
    header = make_header(layout="stream", mask_sets=0, max_length=8, vocab_size=100)
    full = made_up([[20]])
    encoded = EncodedDocuments(
        *(full.input_ids, full.is_word_start, full.is_punctuation, full.sentences),
        documents=np.array([0, 0, 0, 1, 1]),
    )
    maker = StreamRows(header, 8)
    keys, numbers = np.zeros(4, np.uint64), np.arange(4, dtype=np.uint32)
    rows = concatenate([maker.make(encoded, keys, numbers), maker.rest()])
    assert (rows.input_ids == header.sep_token_id).sum() == 1
    assert set(rows.document.tolist()) == {2}
    assert maker.counts["tokens_kept"] == 20
