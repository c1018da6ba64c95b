import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stream import Stream
from shards.format import concatenate
from shards.rules import check_rows

DOCUMENTS = st.lists(st.lists(st.integers(5, 90), max_size=40), max_size=8)


def rows_of(header, blocks):
    """Return all rows of blocks of documents, in order."""
    stream, first, parts = Stream(header), 0, []
    for documents in blocks:
        ids = np.array([token for document in documents for token in document], np.uint32)
        ends = np.cumsum([len(document) for document in documents], dtype=np.int64)
        numbers = np.arange(first, first + len(documents), dtype=np.uint32)
        parts.append(stream.add(ids, ends, numbers))
        first += len(documents)
    return concatenate([*parts, stream.rest()])


@given(blocks=st.lists(DOCUMENTS, min_size=1, max_size=4), width=st.integers(8, 50))
def test_a_stream_is_the_documents_with_an_end_after_each(make_header, blocks, width):
    header = make_header(layout="stream", mask_sets=0, max_length=width, vocab_size=100)
    rows = rows_of(header, blocks)
    assert list(check_rows(header, rows)) == []
    real = [rows.input_ids[row, : rows.length[row]].tolist() for row in range(len(rows))]
    expected, owner = [], []
    for number, document in enumerate(document for block in blocks for document in block):
        expected += [*document, header.sep_token_id]
        owner += [number] * (len(document) + 1)
    assert [token for row in real for token in row] == expected
    assert (rows.length[:-1] == width).all()
    assert rows.document.tolist() == owner[::width]


@given(blocks=st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_how_documents_come_changes_nothing(make_header, blocks):
    header = make_header(layout="stream", mask_sets=0, max_length=16, vocab_size=100)
    apart = rows_of(header, blocks)
    together = rows_of(header, [[document for block in blocks for document in block]])
    for name, column in vars(apart).items():
        assert np.array_equal(column, vars(together)[name]), name
