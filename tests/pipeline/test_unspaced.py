"""Words of scripts without spaces, whatever the tokenizer."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import (
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    Tokenizer,
    models,
    pre_tokenizers,
    trainers,
)

from pipeline.chunks import make_chunks
from pipeline.draws import document_keys
from pipeline.encode import Encoder, encode_by_library, encode_documents
from pipeline.masks import ngram_law
from pipeline.rows import make_rows
from pipeline.words.bpe import byte_characters
from pipeline.words.spelling import EVERY_PIECE, START, Dropout
from pipeline.words.unspaced import BLOCKS, begins_of

SYLLABLES = {
    "japanese": "あいうえおかきくけこさしすせそ日本語東京大学アイウエオ人山川",
    "thai": "กขคงจชซญดตถทนบปผพฟมยรลวสหอฮเแโ",
    "khmer": "កខគឃងចឆជញដឋតថទនបផពមយរលវសហអ",
}
KINDS = ["wordpiece", "bpe", "unigram"]


def text_of(script: str, seed: int, sentences: int) -> str:
    """Return sentences of words of one to four characters, nothing between them."""
    random, words = np.random.default_rng(seed), np.random.default_rng(0)
    signs = list(SYLLABLES[script])
    lexicon = ["".join(words.choice(signs, words.integers(1, 5))) for _ in range(150)]
    weights = 1 / np.arange(2, 152)
    stop = "。" if script == "japanese" else " "
    chosen = [random.choice(lexicon, 14, p=weights / weights.sum()) for _ in range(sentences)]
    return "\n".join("".join(some) + stop for some in chosen)


def trained(kind: str, text: list[str]) -> Tokenizer:
    if kind == "wordpiece":
        made = BertWordPieceTokenizer(lowercase=False)
        made.train_from_iterator(text, vocab_size=600, show_progress=False)
        tokenizer = made._tokenizer
    elif kind == "bpe":
        made = ByteLevelBPETokenizer()
        made.train_from_iterator(text, vocab_size=700, show_progress=False)
        tokenizer = made._tokenizer
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=400, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        )
        tokenizer.train_from_iterator(text, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="module")
def unspaced() -> dict[tuple[str, str], Encoder]:
    """An encoder of each kind for each script."""
    made = {}
    for script in SYLLABLES:
        text = text_of(script, 1, 400).split("\n")
        made |= {(kind, script): Encoder(trained(kind, text)) for kind in KINDS}
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", SYLLABLES)
def test_15_percent_of_a_text_without_spaces_is_masked(unspaced, make_header, kind, script):
    encoder = unspaced[kind, script]
    encoded = encode_documents(encoder, [text_of(script, seed, 40) for seed in range(20)])
    assert encoder.path == "columnar"
    header = make_header(max_length=128, vocab_size=1 << 16)
    keys = document_keys(0, "source", 0, 20)
    chunks = make_chunks(encoded, keys, 128, has_order=True, short_row_probability=0.1)
    numbers = np.arange(20, dtype=np.uint32)
    rows, _ = make_rows(encoded, chunks, keys, header, numbers, ngram_law("ngram", 3))
    share = np.bitwise_count(rows.masks).sum() / (4 * rows.length.sum(dtype=np.int64))
    assert share == pytest.approx(0.15, abs=0.005)


@pytest.mark.parametrize("kind", KINDS)
@given(
    text=st.lists(st.sampled_from("あい日本語ー ab。、1กข้าកេ한é😀\u3099\U00020000")).map("".join)
)
def test_both_ways_find_the_same_words(unspaced, kind, text):
    for script in SYLLABLES:
        encoder = unspaced[kind, script]
        begins = begins_of(encoder.tokenizer)
        found = encoder.encode([text], [()])
        expected = encode_by_library(encoder.tokenizer, begins, [text], [()])
        assert found.flags.tolist() == expected.flags.tolist()
        anew = encoder.encode([text], [()], Dropout(1e-12, np.zeros(1, np.uint64)))
        assert anew.flags.tolist() == found.flags.tolist()
        is_begin = begins[found.input_ids] > 0
        assert (found.flags[is_begin] & START).all()


def begin_ids(tokenizer: Tokenizer) -> set[str]:
    return {tokenizer.id_to_token(one) for one in np.flatnonzero(begins_of(tokenizer)).tolist()}


def test_a_token_begins_a_word_by_its_first_character():
    names = [
        "ab",
        "日",
        "##本",
        "##ab",
        "##ー日",
        "한",
        "##한",
        "a日",
        "##a日",
        "é",
        "##\u0e31ก",
        "##ก",
    ]
    vocabulary = {name: number for number, name in enumerate(["[UNK]", "##", *names])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    assert begin_ids(tokenizer) == {"日", "##本", "##ー日", "##ก"}


def test_a_token_of_bytes_begins_a_word_where_its_first_character_does():
    character_of = byte_characters()

    def name(token: bytes) -> str:
        return "".join(character_of[byte] for byte in token)

    begin = [text.encode() for text in ("日", "日本", " 日", "日a", "\U00020000", "ก")]
    begin += [b"\xe6", b"\xe6\x97", b"\xe3\x81", b" \xe3\x82", b"\xf0\xa0\x80", b"\xe0\xb8"]
    others = [text.encode() for text in ("a日", "한", " ", "é", "\u0e31", "😀")]
    others += [b"\xa5", b"\x97\xa5\xe6", b"\xe3", b"\xe0", b"\xf0", b"\xed\x95"]
    every = {name(bytes([byte])) for byte in range(256)} | {*map(name, begin), *map(name, others)}
    tokenizer = Tokenizer(models.BPE({one: number for number, one in enumerate(every)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found = begin_ids(tokenizer)
    assert {*map(name, begin)} <= found
    assert not found & {*map(name, others)}
    single = {byte for byte in range(256) if name(bytes([byte])) in found}
    assert single == {0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9}


def test_the_blocks_hold_the_scripts_they_are_for():
    names = (
        "CJK UNIFIED",
        "HIRAGANA LETTER",
        "KATAKANA LETTER",
        "BOPOMOFO",
        "THAI",
        "LAO",
        "KHMER",
        "MYANMAR",
    )
    for code in range(0x30000):
        name = unicodedata.name(chr(code), "")
        if name.startswith(names):
            assert any(first <= code <= last for first, last in BLOCKS), name
    for character in "aéжאع한ᄀअ!😀":
        assert not any(first <= ord(character) <= last for first, last in BLOCKS)


def test_words_with_spaces_are_those_of_the_tokenizer(encoders):
    for encoder in encoders.values():
        unit = "Baba conder elfi, grahu in lo! Xyuk 12."
        encoding = encoder.tokenizer.encode(unit, add_special_tokens=False)
        expected = np.diff(np.array([-1, *encoding.word_ids])) != 0
        flags = encoder.encode([unit], [()], EVERY_PIECE).flags
        assert ((flags & START) > 0).tolist() == expected.tolist()
