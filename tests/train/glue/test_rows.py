"""Examples as rows of token ids, as the tokenizer itself joins and truncates them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from pipeline.readers.glue import unpack_glue
from pipeline.tasks import TASKS, Examples, read_examples
from shards.errors import DataError
from train.glue.row_tokenizer import RowTokenizer, load_row_tokenizer
from train.glue.rows import NO_LABEL, truncate

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["good", "bad", "film", "cat", "the", "##s", "##ly", "##ish"]
LONGEST = 20
BERT = {
    "single": "[CLS] $A [SEP]",
    "pair": "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
    "special_tokens": [("[CLS]", 2), ("[SEP]", 3)],
}


def make_tokenizer(splitter=None, template=BERT):
    vocabulary = {token: index for index, token in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = splitter or pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(**template)
    tokenizer.encode_special_tokens = True
    return tokenizer


def truncating(tokenizer, max_length):
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = True
    copy.enable_truncation(max_length, strategy="longest_first")
    return copy


def examples_of(first, second=None):
    return Examples(first, second, np.arange(len(first)), 0)


def check_equal(tokenizer, examples, max_length):
    """Compare every row with what `tokenizers` makes of it; return the rows."""
    rows = RowTokenizer(tokenizer, max_length).encode(examples)
    texts = examples.first
    if examples.second is not None:
        texts = list(zip(texts, examples.second, strict=True))
    expected = truncating(tokenizer, max_length).encode_batch(texts)
    lengths = np.array([len(one.ids) for one in expected])
    assert rows.lengths().tolist() == lengths.tolist()
    assert rows.truncated == sum(bool(one.overflowing) for one in expected)
    for begin in range(0, len(rows), 4096):
        indices = np.arange(begin, min(begin + 4096, len(rows)))
        batch = rows.gather(indices, 0)
        wide = lengths[indices, None] > np.arange(batch.input_ids.shape[1])
        for actual, name in ((batch.input_ids, "ids"), (batch.token_type_ids, "type_ids")):
            values = np.zeros(wide.shape, np.int64)
            values[wide] = [value for i in indices for value in getattr(expected[i], name)]
            assert np.array_equal(actual.numpy(), values)
        assert np.array_equal(batch.attention_mask.numpy(), wide)
    return rows


def test_pairs_are_joined_as_the_tokenizer_does():
    rows = RowTokenizer(make_tokenizer(), LONGEST).encode(
        examples_of(["good film", "bad"], ["the cats", ""])
    )
    batch = rows.gather(np.array([0, 1]), 0)
    assert batch.input_ids.tolist() == [[2, 5, 7, 3, 9, 8, 10, 3], [2, 6, 3, 3, 0, 0, 0, 0]]
    assert batch.attention_mask.tolist() == [[1] * 8, [1] * 4 + [0] * 4]
    assert batch.token_type_ids.tolist() == [[0] * 4 + [1] * 4, [0] * 3 + [1] + [0] * 4]


def test_a_batch_is_never_wider_than_the_longest_row_may_be():
    rows = check_equal(make_tokenizer(), examples_of(["good " * 40], ["the cat"]), LONGEST)
    batch = rows.gather(np.array([0]), 0)
    assert batch.input_ids.shape == (1, LONGEST)  # not 24, the next multiple of 8
    assert batch.token_type_ids.sum() == 3  # the cat [SEP]


def test_a_special_token_typed_in_a_text_is_text():
    rows = RowTokenizer(make_tokenizer(), LONGEST).encode(examples_of(["[MASK] [SEP] [CLS]"]))
    tokens = rows.gather(np.array([0]), 0).input_ids[0, : rows.lengths()[0]].tolist()
    assert (tokens[0], tokens[-1]) == (2, 3)
    assert not {2, 3, 4} & set(tokens[1:-1])


TEXT = st.lists(st.sampled_from(["good", "badly", "cats", "é", "filmish", "."]), max_size=15)
ROBERTA = {
    "single": "[CLS]:0 $A:0 [SEP]:0",
    "pair": "[CLS]:0 $A:0 [SEP]:0 [SEP]:0 $B:0 [SEP]:0",
    "special_tokens": [("[CLS]", 2), ("[SEP]", 3)],
}


@pytest.mark.parametrize("template", [BERT, ROBERTA])
@pytest.mark.parametrize("splitter", [None, pre_tokenizers.Whitespace()], ids=["known", "unknown"])
@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1), max_length=st.integers(6, 24))
def test_rows_equal_what_the_tokenizer_says(splitter, template, pairs, max_length):
    tokenizer = make_tokenizer(splitter, template)
    first, second = ([" ".join(text) for text in column] for column in zip(*pairs, strict=True))
    check_equal(tokenizer, examples_of(first, second), max_length)
    check_equal(tokenizer, examples_of(first), max_length)


def test_an_unknown_tokenizer_goes_through_its_library():
    assert RowTokenizer(make_tokenizer(), LONGEST).path == "columnar"
    odd = RowTokenizer(make_tokenizer(pre_tokenizers.Whitespace()), LONGEST)
    assert odd.path == "library (Whitespace and WordPiece)"


@given(counts=st.tuples(st.integers(0, 60), st.integers(0, 60)), room=st.integers(1, 50))
def test_lengths_are_truncated_as_by_the_library(counts, room):
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A:0 $B:1")
    tokenizer.enable_truncation(room, strategy="longest_first")
    types = tokenizer.encode("a " * counts[0], "a " * counts[1]).type_ids
    assert truncate(np.array([counts]), room).tolist() == [[types.count(0), types.count(1)]]


@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1), max_length=st.integers(6, 24))
def test_both_orders_are_encoded_swapped(pairs, max_length):
    first, second = ([" ".join(text) for text in column] for column in zip(*pairs, strict=True))
    tokenizer = RowTokenizer(make_tokenizer(), max_length)
    rows = tokenizer.encode(examples_of(first, second)).both_orders()
    whole = tokenizer.encode(examples_of(first + second, second + first))
    assert rows.lengths().tolist() == whole.lengths().tolist()
    assert rows.labels.tolist() == [*range(len(first)), *range(len(first))]
    everything = np.arange(len(rows))
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        actual, expected = (getattr(one.gather(everything, 0), name) for one in (rows, whole))
        assert actual.tolist() == expected.tolist()


def test_a_sample_is_drawn_once_and_keeps_the_order():
    rows = RowTokenizer(make_tokenizer(), LONGEST).encode(examples_of(["good"] * 50))
    assert rows.sample(10, 1).labels.tolist() == sorted(set(rows.sample(10, 1).labels.tolist()))
    assert len(rows.sample(10, 1)) == 10
    assert rows.sample(10, 1).labels.tolist() != rows.sample(10, 2).labels.tolist()
    assert rows.sample(50, 1) is rows
    assert rows.take(np.array([2, 0])).labels.tolist() == [2, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
def test_labels_are_gathered_by_row(dtype):
    labels = np.array([[1, 0], [0, 0], [1, 1]], dtype)
    examples = Examples(["good", "bad", "cat"], None, labels, 0)
    rows = RowTokenizer(make_tokenizer(), LONGEST).encode(examples)
    gathered = rows.gather_labels(np.array([2, 0])).numpy()
    assert gathered.dtype == dtype
    assert gathered.tolist() == labels[[2, 0]].tolist()
    assert rows.label_starts.tolist() == [0, 1, 2, 3]


def tagged(words, labels, max_length=LONGEST, splitter=None):
    texts = [" ".join(row) for row in words]
    examples = Examples(texts, None, np.array(labels), 0, words)
    return RowTokenizer(make_tokenizer(splitter), max_length).encode(examples)


@pytest.mark.parametrize("splitter", [None, pre_tokenizers.Whitespace()], ids=["known", "unknown"])
def test_the_first_piece_of_a_word_has_its_tag(splitter):
    rows = tagged([["cats", "badly", "the"], ["film"]], [4, 5, 6, 7], splitter=splitter)
    none = NO_LABEL
    assert rows.gather_labels(np.array([1, 0])).tolist() == [
        [none, 7, none, none, none, none, none, none],
        [none, 4, none, 5, none, 6, none, none],
    ]
    assert rows.labels.tolist() == [4, 5, 6, 7]
    assert rows.label_starts.tolist() == [0, 3, 4]
    assert rows.take(np.array([1, 0])).labels.tolist() == [7, 4, 5, 6]
    assert rows.lost_words == 0


def test_words_without_a_token_are_counted():
    rows = tagged([["cat", "\u200b", "bad"], ["\u200b"]], [1, 2, 3, 4])
    assert rows.labels.tolist() == [1, 3]
    assert rows.label_starts.tolist() == [0, 2, 2]
    rows = tagged([["cats"] * 9, ["cat"]], [*range(9), 9], max_length=9)
    assert rows.labels.tolist() == [0, 1, 2, 3, 9]
    assert (rows.lost_words, rows.truncated) == (5, 1)
    assert rows.take(np.arange(0)).lost_words == 0


@given(words=st.lists(st.sampled_from(["good", "Cats", "é", "u.s.", "badly"]), min_size=1))
def test_tags_stand_where_the_library_finds_the_words(words):
    rows = tagged([words], range(len(words)), max_length=12)
    encoding = truncating(make_tokenizer(), 12).encode(words, is_pretokenized=True)
    ids = encoding.word_ids
    expected = [
        NO_LABEL if word is None or word == before else word
        for before, word in zip([None, *ids], ids, strict=False)
    ]
    length = rows.lengths()[0]
    assert rows.gather(np.array([0]), 0).input_ids[0, :length].tolist() == encoding.ids
    assert rows.gather_labels(np.array([0]))[0, :length].tolist() == expected


def test_words_of_bytes_begin_at_the_space_before_them():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*letters, "[CLS]", "[SEP]"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    special = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(**BERT | {"special_tokens": special})
    words = [["ab", "c"]]
    rows = RowTokenizer(tokenizer, LONGEST).encode(
        Examples(["ab c"], None, np.array([1, 2]), 0, words)
    )
    assert rows.gather_labels(np.array([0]))[0, :6].tolist() == [-100, 1, -100, 2, -100, -100]


def write_vocabulary(folder: Path, entries):
    (folder / "vocab.txt").write_text("".join(f"{entry}\n" for entry in entries))
    return folder


def test_a_folder_with_a_vocabulary_alone_serves(tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    make_tokenizer().save(str(saved / "tokenizer.json"))
    rows = [
        load_row_tokenizer(folder, LONGEST, 13).encode(examples_of(["Good film"], ["[SEP]"]))
        for folder in (saved, write_vocabulary(tmp_path, SPECIAL + WORDS))
    ]
    batches = [one.gather(np.array([0]), 0).input_ids.tolist() for one in rows]
    assert batches[0] == batches[1]


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(DataError, match=r"has no tokenizer\.json.*export the model again"):
        load_row_tokenizer(tmp_path, LONGEST, 13)
    write_vocabulary(tmp_path, [*SPECIAL[:3], *WORDS])
    with pytest.raises(DataError, match=r"vocab\.txt has no \[SEP\], \[MASK\]"):
        load_row_tokenizer(tmp_path, LONGEST, 13)


def test_a_tokenizer_that_is_larger_than_its_model_is_refused(tmp_path):
    write_vocabulary(tmp_path, SPECIAL + WORDS)
    with pytest.raises(DataError, match="has 13 tokens, its model 12"):
        load_row_tokenizer(tmp_path, LONGEST, 12)
    parts = json.loads(make_tokenizer().to_str())
    parts["model"]["vocab"][WORDS[-1]] = 20
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "tokenizer.json").write_text(json.dumps(parts))
    with pytest.raises(DataError, match="has 21 tokens, its model 20"):
        load_row_tokenizer(saved, LONGEST, 20)


def test_ids_are_kept_whole_though_there_are_few(tmp_path):
    parts = json.loads(make_tokenizer().to_str())
    parts["model"]["vocab"]["film"] = 70_000
    (tmp_path / "tokenizer.json").write_text(json.dumps(parts))
    rows = load_row_tokenizer(tmp_path, LONGEST, 70_001).encode(examples_of(["Good film"]))
    assert 70_000 in rows.gather(np.array([0]), 0).input_ids


def test_rows_without_room_are_refused(tmp_path):
    write_vocabulary(tmp_path, SPECIAL + WORDS)
    with pytest.raises(DataError, match=r"4 tokens has no room.*--max-length 5 or more"):
        load_row_tokenizer(tmp_path, 4, 13)


@pytest.mark.parametrize(
    "processor",
    [
        processors.ByteLevel(),
        processors.TemplateProcessing(
            single="$A [SEP] [CLS]",
            pair="$A [SEP] $B:1 [SEP] [CLS]",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        ),
    ],
    ids=["none", "XLNet's"],
)
def test_a_tokenizer_without_a_template_is_refused(tmp_path, processor):
    tokenizer = make_tokenizer()
    tokenizer.post_processor = processor
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match="does not join two texts"):
        load_row_tokenizer(tmp_path, LONGEST, 17)


@pytest.fixture(scope="module")
def real_glue(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "glue"
    unpack_glue(real_data / "mirror" / "dl.fbaipublicfiles.com", folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", ["bert-base-uncased-vocab.txt", "albert-spiece.model"])
@pytest.mark.parametrize("name", TASKS)
def test_rows_of_real_files_equal_the_tokenizers(real_glue, real_data, tmp_path, name, vocabulary):
    file = "vocab.txt" if vocabulary.endswith("txt") else "spiece.model"
    (tmp_path / file).symlink_to(real_data / "vocab" / vocabulary)
    tokenizer = load_row_tokenizer(tmp_path, 128, 31_000).tokenizer
    for split in TASKS[name].rows:
        examples = read_examples(TASKS[name], real_glue, split)
        check_equal(tokenizer, examples, 128 if split == "train" else 31)
