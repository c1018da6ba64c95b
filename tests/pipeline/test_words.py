"""The columnar way of encoding, against the package `tokenizers` on the same units."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import (
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from pipeline import encode
from pipeline.encode import Encoder, encode_by_library
from pipeline.words import columnar, cuts, known
from pipeline.words.spelling import PUNCTUATION, START

KINDS = ["uncased", "cased", "bpe", "lowercase bpe", "unigram", "albert"]
ODD = [
    *("don't", "'tis 'Tis ''s", "we'll 'LL", "\"'s", "a  b", " a", "a ", "a \n\nb", "\t\tx"),
    *("1st 2nd", "x\u0301y \u0301 z", "İstanbul ΑΣ ΣΑΣ", "\u00a0.", "a\u2003b", "\u3000"),
    *(
        "中文字 abc中",
        "한국어 글",
        "👨\u200d👩\u200d👧 👍🏽",
        "[MASK] [SEP]",
        "<|endoftext|>",
        "``x''",
    ),
    *("\u2581a", "ﬁn ＡＢＣ ㌖", "\x00a\x1c\x85b", "a\ufffdb", "\u200bz\ufeff", "café naïve"),
    *("x" * 101, "é" * 60, "!" * 40, "…“quoted”—so", "a.b,c;d", "end.Next", "\u0d4e a"),
]
UNITS = st.lists(
    st.lists(st.text(max_size=8) | st.sampled_from([*ODD, " ", "\n"]), max_size=6).map("".join),
    max_size=5,
)


def specials(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="session")
def all_tokenizers(prose) -> dict[str, Tokenizer]:
    """A tokenizer of each supported kind, trained on prose and odd text."""
    text = [*prose(60, 3), *ODD]
    made = {}
    for kind, lowercase in (("uncased", True), ("cased", False)):
        wordpiece = BertWordPieceTokenizer(lowercase=lowercase)
        wordpiece.train_from_iterator(text, vocab_size=700, show_progress=False)
        made[kind] = wordpiece._tokenizer
    for kind, lowercase in (("bpe", False), ("lowercase bpe", True)):
        bpe = ByteLevelBPETokenizer()
        if lowercase:
            steps = [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
            bpe._tokenizer.normalizer = normalizers.Sequence(steps)
        bpe.train_from_iterator(text, vocab_size=700, show_progress=False)
        made[kind] = bpe._tokenizer
    albert = [
        *(normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD()),
        *(normalizers.StripAccents(), normalizers.Lowercase()),
    ]
    for kind, steps in (("unigram", [normalizers.NFKC()]), ("albert", albert)):
        unigram = Tokenizer(models.Unigram())
        unigram.normalizer = normalizers.Sequence(steps)
        splitters = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        unigram.pre_tokenizer = pre_tokenizers.Sequence(
            splitters if kind == "albert" else splitters[1:]
        )
        trainer = trainers.UnigramTrainer(
            vocab_size=400,
            unk_token="<unk>",
            special_tokens=["<unk>", "[MASK]"],
            show_progress=False,
        )
        unigram.train_from_iterator(text, trainer)
        made[kind] = unigram
    return {kind: specials(tokenizer) for kind, tokenizer in made.items()}


@pytest.fixture(scope="session")
def all_encoders(all_tokenizers) -> dict[str, Encoder]:
    return {kind: unchecked(tokenizer) for kind, tokenizer in all_tokenizers.items()}


def unchecked(tokenizer: Tokenizer, memory: int = 10**8) -> Encoder:
    encoder = Encoder(tokenizer, memory)
    encoder._unchecked = 0
    return encoder


def assert_same(encoder: Encoder, units: list[str], asked=None) -> None:
    asked = [()] * len(units) if asked is None else asked
    assert encoder.path == "columnar"
    found = encoder.encode(units, asked)
    expected = encode_by_library(encoder.tokenizer, encoder._begins, units, asked)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert one.tolist() == other.tolist(), name


@pytest.mark.parametrize("kind", KINDS)
@example(units=ODD)
@example(units=[" ".join(ODD)])
@example(units=[one + other for one in ODD for other in ODD[:9]])
@given(units=UNITS)
def test_every_unit_has_the_tokens_of_the_library(all_encoders, kind, units):
    assert_same(all_encoders[kind], units)


@pytest.mark.parametrize("kind", KINDS)
@given(units=UNITS, data=st.data())
def test_tokens_are_found_at_characters(all_encoders, kind, units, data):
    asked = []
    for unit in units:
        places = data.draw(st.lists(st.integers(0, len(unit)), max_size=4))
        asked.append([0, 0, *sorted(one for one in places if not unit[:one][-1:].isspace())])
    assert_same(all_encoders[kind], units, asked)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(units=UNITS)
def test_what_is_forgotten_changes_no_token(all_tokenizers, all_encoders, kind, units):
    """A table of four words and buffers of three, filled again and again."""
    units = [*units, *ODD]
    with pytest.MonkeyPatch.context() as small:
        small.setattr(known, "FIRST_WORDS", 4)
        small.setattr(known, "FIRST_BYTES", 20)
        small.setattr(columnar, "WORDS_AT_A_TIME", 3)
        rules = all_encoders[kind]._columnar.rules
        begins = all_encoders[kind]._begins
        forgetful = columnar.Columnar(all_tokenizers[kind], rules, begins, memory=1)
        found = forgetful.encode(units, [()] * len(units))
    expected = encode_by_library(all_tokenizers[kind], begins, units, [()] * len(units))
    assert found[0].tolist() == expected.input_ids.tolist()
    assert found[1].tolist() == expected.flags.tolist()


def test_a_table_grows_up_to_its_budget(all_tokenizers):
    encoder = unchecked(all_tokenizers["uncased"], memory=2 * 40_000_000)
    generator = np.random.default_rng(0)
    letters = generator.integers(97, 123, (150_000, 6)).astype(np.uint8)
    words = " ".join(bytes(word).decode() for word in letters)
    assert_same(encoder, [words])
    table = encoder._columnar.known._table
    assert known.FIRST_WORDS < len(table.low) <= 40_000_000 // known.WORD_BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_of_a_hundred_kilobytes(all_encoders, kind):
    assert_same(all_encoders[kind], ["ab" * 50_000, "a" * 17, "a" * 16, "e\u0301" * 3000])


OTHERS = {
    "ByteLevel with a prefix space": ("bpe", pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "Whitespace and WordPiece": ("uncased", pre_tokenizers.Whitespace()),
    "its pre-tokenizers": ("unigram", pre_tokenizers.Metaspace(split=False)),
    "Metaspace without a prefix": ("unigram", pre_tokenizers.Metaspace(prepend_scheme="first")),
}


@pytest.mark.parametrize(("why", "change"), OTHERS.items())
def test_what_is_not_understood_goes_the_library_s_way(all_tokenizers, why, change):
    kind, splitter = change
    tokenizer = Tokenizer.from_str(all_tokenizers[kind].to_str())
    tokenizer.pre_tokenizer = splitter
    encoder = Encoder(specials(tokenizer))
    assert encoder.path.startswith("library (")
    assert why in encoder.path
    assert encoder.encode(["a b"], [()]).input_ids.tolist() == tokenizer.encode("a b").ids


def test_a_replacement_across_words_goes_the_library_s_way(all_tokenizers):
    tokenizer = Tokenizer.from_str(all_tokenizers["unigram"].to_str())
    tokenizer.normalizer = normalizers.Replace("New York", "NY")
    encoder = Encoder(specials(tokenizer))
    assert "the normalizer" in encoder.path
    unit = "in New York"
    assert encoder.encode([unit], [()]).input_ids.tolist() == tokenizer.encode(unit).ids


@pytest.mark.parametrize("kind", KINDS)
def test_many_cuts_in_one_word(all_encoders, kind):
    unit = "中文字。" * 50 + "ab́c" * 20 + " a b"
    assert_same(all_encoders[kind], [unit, unit], [range(0, len(unit), 3), [4]])


def test_an_added_token_that_is_not_special_goes_the_library_s_way(all_tokenizers):
    tokenizer = Tokenizer.from_str(all_tokenizers["bpe"].to_str())
    tokenizer.add_tokens(["two words"])
    encoder = Encoder(specials(tokenizer))
    assert encoder.path == "library (added token 'two words')"
    assert (
        encoder.encode(["two words"], [()]).input_ids.tolist() == tokenizer.encode("two words").ids
    )


def test_a_wrong_rule_is_noticed_before_it_does_harm(all_tokenizers):
    encoder = Encoder(all_tokenizers["bpe"])
    rules = encoder._columnar.rules
    classes = rules.classes.copy()
    classes[ord(".")] = cuts.LETTER
    encoder._columnar.rules = replace(rules, classes=classes)
    units = ["A sentence.", "Another. One."]
    found = encoder.encode(units, [()] * 2)
    expected = encode_by_library(encoder.tokenizer, encoder._begins, units, [()] * 2)
    assert found.input_ids.tolist() == expected.input_ids.tolist()
    assert encoder.path == "library (the first units showed a difference)"


def test_a_few_hundred_kilobytes_are_compared_and_no_more(all_tokenizers, monkeypatch):
    compared = []

    def count(tokenizer, begins, units, asked):
        compared.append(sum(map(len, units)))
        return encode_by_library(tokenizer, begins, units, asked)

    monkeypatch.setattr(encode, "encode_by_library", count)
    encoder = Encoder(all_tokenizers["uncased"])
    for _ in range(6):
        encoder.encode(["some words " * 10_000, "more"], [(), ()])
    encoder.encode([], [])
    assert compared == [110_004, 110_004, 110_000]


@pytest.mark.parametrize("kind", ["uncased", "cased", "gpt2"])
def test_published_vocabularies_on_real_text(real_data, kind):
    folder = real_data / "vocab"
    files = {
        "uncased": [folder / "bert-base-uncased-vocab.txt"],
        "cased": [folder / "bert-base-cased-vocab.txt"],
        "gpt2": [folder / "gpt2" / "vocab.json", folder / "gpt2" / "merges.txt"],
    }[kind]
    texts = [real_data / "text" / name for name in ("botchan.txt", "cs336_corpus.en")]
    texts += [real_data / "text" / "wikitext-2-raw" / "wiki.valid.raw"]
    if missing := [path for path in [*files, *texts] if not path.is_file()]:
        pytest.skip(f"{real_data} has no {missing[0].name}")
    make = ByteLevelBPETokenizer if kind == "gpt2" else BertWordPieceTokenizer
    options = {} if kind == "gpt2" else {"lowercase": kind == "uncased"}
    tokenizer = specials(make(*map(str, files), **options)._tokenizer)
    units = [line for path in texts for line in path.read_text().splitlines() if line.strip()]
    assert_same(unchecked(tokenizer), [*units, "\n".join(units[:2000])])


PIECES = st.lists(st.text("ab\xe9\u2581", min_size=1, max_size=4), unique=True, max_size=12)


@settings(max_examples=60)
@given(pieces=PIECES, scores=st.lists(st.sampled_from([-1.0, -2.0, -2.5, 0.0]), min_size=12))
def test_equal_scores_are_told_apart_as_the_library_does(pieces, scores):
    vocabulary = [("<unk>", 0.0), *zip(pieces, scores, strict=False)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    units = ["abab \xe9abba", "aaaaaa b", "xab yx", "".join(pieces), " ".join(pieces)]
    assert_same(unchecked(specials(tokenizer)), units)


def test_words_without_letter_and_number_are_punctuation(all_tokenizers, all_encoders):
    unit = "Well -- 'tis 7, “no”..."
    expected = {"uncased": {"-", "'", ",", "“", "”", "."}, "bpe": {" --", " '", ",", " “", "”..."}}
    for kind, marks in expected.items():
        encoded = all_encoders[kind].encode([unit], [()])
        offsets = all_tokenizers[kind].encode(unit, add_special_tokens=False).offsets
        words = np.cumsum(encoded.flags & START) - 1
        found = set()
        for word in np.unique(words[encoded.flags & PUNCTUATION > 0]):
            places = [offsets[token] for token in np.flatnonzero(words == word)]
            found.add(unit[places[0][0] : places[-1][1]])
        assert found == marks
