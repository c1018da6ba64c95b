"""A folder that `tokenize` wrote gives the same ids in `transformers`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

KINDS = ["wordpiece", "bpe", "unigram"]
WORDS = st.text(max_size=40) | st.sampled_from(
    ["Baba conder.", "[MASK] is", "el  [MASK] con [MASK].", "Été Ω", ""]
)


@pytest.fixture(scope="module")
def loaded(folders):
    """The tokenizers, as `tokenizers` and as `transformers` load them."""
    return {
        kind: (
            Tokenizer.from_file(str(folder / "tokenizer.json")),
            AutoTokenizer.from_pretrained(folder),
        )
        for kind, folder in folders.items()
    }


@pytest.mark.parametrize("kind", KINDS)
@given(first=WORDS, second=WORDS.filter(bool))  # to transformers "" is no second text
def test_transformers_encodes_pairs_alike(loaded, kind, first, second):
    ours, theirs = loaded[kind]
    expected, found = ours.encode(first, second), theirs(first, second)
    assert found["input_ids"] == expected.ids
    assert found["token_type_ids"] == expected.type_ids
    assert found["attention_mask"] == expected.attention_mask


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_has_the_layout_of_a_row(loaded, kind: str):
    _, tokenizer = loaded[kind]
    found = tokenizer("baba", "conder")
    ids, types = np.array(found["input_ids"]), np.array(found["token_type_ids"])
    seps = np.flatnonzero(ids == tokenizer.sep_token_id)
    assert (ids[0], len(seps), seps[-1]) == (tokenizer.cls_token_id, 2, len(ids) - 1)
    assert np.array_equal(types, np.arange(len(ids)) > seps[0])


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_knows_the_special_tokens(loaded, kind: str):
    _, tokenizer = loaded[kind]
    names = ("pad", "unk", "cls", "sep", "mask")
    assert [getattr(tokenizer, f"{name}_token_id") for name in names] == [0, 1, 2, 3, 4]
