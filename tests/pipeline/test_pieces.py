"""A text in pieces has the tokens of the whole."""

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer, Regex, Tokenizer, normalizers, pre_tokenizers

from pipeline.encode import load_tokenizer
from pipeline.words.pieces import pieces_of

KINDS = [
    "wordpiece",
    "cased",
    "bpe",
    "lowercase bpe",
    "white space bpe",
    "unigram",
    "albert",
    "collapsed",
]
UGLY = [
    *("el", "Conder", "don't", "'s", "'", "1st", "22", "-,", "...", "x" * 120, "é" * 60),
    *(" ", "  ", "\n", "\r\n", "\t", " \n ", "\u00a0", "\u2003", "\u3000", "\x00", "\u200b"),
    *("\u0301", "e\u0301", " \u0301", " \u0301 b", "a\u0301\u0323", "\u037a", "\u00b4", "\ufeff"),
    *(
        "\u0600",
        "\u0d4e",
        "\u0e33",
        "\uff9e",
        "\u1160",
        "\U0001d165",
        "हिन्दी",
        "ไทยกำ",
        "한국어",
        "中文字",
        "שלום",
    ),
    *("Он пришёл", "ΑΣ", "İ", "ﬁn", "㌖", "👩\u200d🚀", "👍🏽", "\ufffd", "``x''", "\u2581", "▁a"),
    *("[MASK]", "[SEP]", "[UNK]el", "<|endoftext|>", "<unk>", "[CLS]"),
]
TEXTS = st.builds(
    str.join,
    st.sampled_from([" ", "", "   ", " \n", " \u0301"]),
    st.lists(st.sampled_from(UGLY) | st.text(max_size=6), max_size=30),
)


def white_space_bpe() -> Tokenizer:
    """Return a tokenizer whose tokens are most runs of white space, beside bytes."""
    runs = ["".join(run) for count in range(2, 7) for run in product(" \n", repeat=count)]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(runs * 2, vocab_size=400, show_progress=False)
    return bpe._tokenizer


@pytest.fixture(scope="module")
def kinds(folders) -> dict[str, Tokenizer]:
    """A tokenizer of each type, and others with its vocabulary that are also understood."""

    def load(kind: str) -> Tokenizer:
        return load_tokenizer(folders[kind] / "tokenizer.json")

    made = {kind: load(kind) for kind in folders}
    made["cased"] = load("wordpiece")
    made["cased"].normalizer = normalizers.BertNormalizer(lowercase=False)
    strip = [normalizers.Lowercase(), normalizers.StripAccents()]
    made["lowercase bpe"] = white_space_bpe()
    made["lowercase bpe"].normalizer = normalizers.Sequence([normalizers.NFD(), *strip])
    made["white space bpe"] = white_space_bpe()
    quotes, spaces = normalizers.Replace("``", '"'), normalizers.Replace(Regex(" {2,}"), " ")
    spaced = pre_tokenizers.Metaspace(prepend_scheme="always")
    for kind, steps, splitters in (
        ("albert", [quotes, normalizers.NFKD(), *strip], [pre_tokenizers.WhitespaceSplit()]),
        ("collapsed", [normalizers.NFKD(), *strip, spaces], []),
    ):
        made[kind] = load("unigram")
        made[kind].normalizer = normalizers.Sequence(steps)
        made[kind].pre_tokenizer = pre_tokenizers.Sequence([*splitters, spaced])
    return made


@pytest.mark.parametrize("kind", KINDS)
@example(text=" ".join(UGLY), size=1)
@example(text=" ".join(one + other for one in UGLY for other in UGLY), size=9)
@example(text="el \u037a fi", size=1)
@given(text=TEXTS, size=st.integers(1, 40))
def test_the_tokens_of_the_pieces_are_those_of_the_text(kinds, kind, text, size):
    tokenizer = kinds[kind]
    pieces = list(pieces_of(tokenizer, text, size))
    assert "".join(pieces) == text
    assert all(len(piece) >= size for piece in pieces[:-1])
    encodings = tokenizer.encode_batch(pieces, add_special_tokens=False)
    found = [number for encoding in encodings for number in encoding.ids]
    assert found == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", ["el fi ", "Он дома ", "12 34 ", "el, fi. "])
def test_a_text_with_single_spaces_is_cut_into_small_pieces(kinds, kind, words):
    pieces = list(pieces_of(kinds[kind], words * 100, 20))
    assert max(map(len, pieces)) < 20 + len(words)


@pytest.mark.parametrize("text", ["x" * 500, "el  " * 100, "el\n" * 100, "中文" * 200, " " * 500])
def test_a_text_without_single_spaces_is_one_piece(kinds, text):
    assert list(pieces_of(kinds["bpe"], text, 20)) == [text]


def test_a_tokenizer_that_is_not_understood_has_one_piece(kinds):
    tokenizer = Tokenizer(kinds["bpe"].model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    assert list(pieces_of(tokenizer, "el fi " * 100, 20)) == ["el fi " * 100]


def test_an_empty_text_has_no_piece(kinds):
    assert list(pieces_of(kinds["bpe"], "", 20)) == []
