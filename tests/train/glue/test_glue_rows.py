"""Examples as rows of token ids, as the tokenizer itself joins them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors

from pipeline.tasks import Examples
from shards.errors import DataError
from tests.train.glue.toy import LONGEST, SPECIAL, WORDS, make_tokenizer
from train.glue_rows import encode_examples, load_row_tokenizer


def test_pairs_are_joined_as_the_tokenizer_does(tokenizer):
    examples = Examples(["good film", "a"], ["the cat runs", ""], np.array([0, 1]), 0)
    rows = encode_examples(tokenizer, examples, LONGEST)
    batch = rows.gather(np.array([0, 1]), 0)
    ids = [tokenizer.token_to_id(word) for word in ("good", "film", "the", "cat", "runs", "a")]
    first = [2, *ids[:2], 3, *ids[2:5], 3]
    assert batch.input_ids.tolist() == [first, [2, ids[5], 3, 3, 0, 0, 0, 0]]
    assert batch.attention_mask.tolist() == [[1] * 8, [1] * 4 + [0] * 4]
    assert batch.token_type_ids.tolist() == [[0] * 4 + [1] * 4, [0] * 3 + [1] + [0] * 4]


def test_the_longer_text_is_truncated_first(tokenizer):
    examples = Examples(["good " * 40, "bad"], ["the cat", "cat"], np.array([0, 1]), 0)
    rows = encode_examples(tokenizer, examples, LONGEST)
    assert rows.lengths().tolist() == [LONGEST, 5]
    assert rows.truncated == 1
    batch = rows.gather(np.array([0, 1]), 0)
    assert batch.input_ids.shape == (2, LONGEST)  # not the next multiple of 8: no positions there
    assert batch.token_type_ids[0].sum() == 3  # the cat [SEP]


def test_a_special_token_typed_in_a_text_is_text(tokenizer):
    examples = Examples(["[MASK] [SEP] [CLS]"], None, np.array([0]), 0)
    tokens = encode_examples(tokenizer, examples, LONGEST).tokens.tolist()
    assert tokens[0] == 2
    assert tokens[-1] == 3
    assert not {2, 3, 4} & set(tokens[1:-1])


@given(
    texts=st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), max_size=15),
            st.lists(st.sampled_from(WORDS), max_size=15),
        ),
        min_size=1,
    )
)
def test_gathered_rows_equal_what_the_tokenizer_says(run, texts):
    tokenizer = load_row_tokenizer(run / "hf", LONGEST, len(SPECIAL + WORDS))
    pairs = [(" ".join(a), " ".join(b)) for a, b in texts]
    labels = np.zeros(len(pairs), dtype=np.int64)
    first, second = (list(column) for column in zip(*pairs, strict=True))
    rows = encode_examples(tokenizer, Examples(first, second, labels, 0), LONGEST)
    batch = rows.gather(np.arange(len(rows)), 0)
    for row, encoding in enumerate(tokenizer.encode_batch(pairs)):
        length = len(encoding.ids)
        assert batch.input_ids[row, :length].tolist() == encoding.ids
        assert batch.token_type_ids[row, :length].tolist() == encoding.type_ids
        assert batch.attention_mask[row].sum() == length


def test_a_tokenizer_that_is_larger_than_its_model_is_refused(run):
    with pytest.raises(DataError, match="has 17 tokens, its model only 16"):
        load_row_tokenizer(run / "hf", LONGEST, 16)


def test_a_tokenizer_without_a_template_is_refused(run, tmp_path):
    tokenizer = make_tokenizer()
    tokenizer.post_processor = processors.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match=r"does not join two texts"):
        load_row_tokenizer(tmp_path, LONGEST, 17)
