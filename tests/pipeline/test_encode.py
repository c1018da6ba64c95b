from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.encode import BATCH_UNITS, Encoder, encode_documents, load_tokenizer
from pipeline.sentences import joins_next, paragraphs_of
from shards.errors import DataError

KINDS = ["wordpiece", "bpe"]
CONTROLS = "\x00\x01\x08\t\x0b\x0c\r\x1b\x1c\x1f\x7f"
LINES = "\x85\u2028\u2029\n"
MARKS = "\u0301\u0308\u200d\u200b\ufe0f\ufeff\xad"
SYMBOLS = "😀👨‍👩‍👧🇩🇪中文字のアあ한글Ωжא\u00a0é"
TYPED = ["[MASK]", "[SEP]", "[CLS]", "[PAD]", "[UNK]", "##ing", "Ġ", "Ċ", "don't", "end. New"]
TEXTS = st.lists(
    st.text() | st.text(CONTROLS + LINES + MARKS + SYMBOLS + "aB. ?!") | st.sampled_from(TYPED)
).map("".join)
DOCUMENTS = st.lists(TEXTS, max_size=5)


@pytest.mark.parametrize("kind", KINDS)
@example(["[MASK] [SEP][CLS]"])
@example(["a\x85b\u2028c\u2029d\re\x0bf"])
@example(["Vitamin A\N{NO-BREAK SPACE}. It is good."])
@example(["", "\n\n", "\x00"])
@given(DOCUMENTS)
def test_ids_are_those_of_the_tokenizer_paragraph_by_paragraph(
    tokenizers, encoders, kind, documents
):
    tokenizer = tokenizers[kind]
    expected = [
        tokenizer.encode(paragraph, add_special_tokens=False).ids
        for text in documents
        for paragraph in paragraphs_of(text)
    ]
    encoded = encode_documents(encoders[kind], documents)
    assert encoded.input_ids.tolist() == [one for ids in expected for one in ids]


@pytest.mark.parametrize("kind", KINDS)
@given(DOCUMENTS)
def test_sentences_and_documents_cover_all_tokens_in_order(encoders, kind, documents):
    encoded = encode_documents(encoders[kind], documents)
    assert encoded.sentences[-1] == len(encoded.input_ids) == len(encoded.is_word_start)
    assert (np.diff(encoded.sentences) > 0).all()  # no empty sentence
    assert encoded.sentences[0] == 0
    assert (encoded.documents[0], encoded.documents[-1]) == (0, len(encoded.sentences) - 1)
    assert len(encoded.documents) == len(documents) + 1
    assert (np.diff(encoded.documents) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
@given(DOCUMENTS)
def test_a_documents_tokens_do_not_depend_on_its_neighbours(encoders, kind, documents):
    together = encode_documents(encoders[kind], documents)
    bounds = together.sentences[together.documents]
    for number, text in enumerate(documents):
        alone = encode_documents(encoders[kind], [text])
        first, last = bounds[number], bounds[number + 1]
        assert together.input_ids[first:last].tolist() == alone.input_ids.tolist()
        assert together.is_word_start[first:last].tolist() == alone.is_word_start.tolist()
        starts = together.sentences[together.documents[number] : together.documents[number + 1]]
        assert (starts - first).tolist() == alone.sentences[:-1].tolist()


@pytest.mark.parametrize("kind", KINDS)
@given(DOCUMENTS)
def test_a_document_begins_with_the_start_of_a_word(encoders, kind, documents):
    encoded = encode_documents(encoders[kind], documents)
    bounds = encoded.sentences[encoded.documents[:-1]]
    assert encoded.is_word_start[bounds[bounds < len(encoded.input_ids)]].all()


def test_no_documents_give_no_tokens(encoders):
    encoded = encode_documents(encoders["wordpiece"], [])
    assert (len(encoded.input_ids), encoded.sentences.tolist(), encoded.documents.tolist()) == (
        0,
        [0],
        [0],
    )


def test_empty_documents_have_no_sentences(encoders):
    encoded = encode_documents(encoders["wordpiece"], ["", "a b.", "", "c.", ""])
    assert encoded.documents.tolist() == [0, 0, 1, 1, 2, 2]


def texts_of_sentences(encoder, encoded) -> list[str]:
    bounds = zip(encoded.sentences[:-1], encoded.sentences[1:], strict=True)
    return [
        encoder.tokenizer.decode(encoded.input_ids[first:last].tolist()) for first, last in bounds
    ]


def test_sentences_are_those_of_the_text(tokenizers, encoders):
    text = "Baba conder. Elfi grahu in lo!\n\nMerno persta? Sta."
    assert texts_of_sentences(encoders["bpe"], encode_documents(encoders["bpe"], [text])) == [
        "Baba conder.",
        " Elfi grahu in lo!",
        "Merno persta?",
        " Sta.",
    ]


def test_a_heading_and_the_sentence_after_it_are_one(tokenizers, encoders):
    text = "Chapter One\n\nBaba conder. Elfi grahu."
    encoded = encode_documents(encoders["bpe"], [text, "Baba"])
    assert texts_of_sentences(encoders["bpe"], encoded) == [
        "Chapter OneBaba conder.",
        " Elfi grahu.",
        "Baba",
    ]


def test_a_heading_at_the_end_and_the_sentence_before_it_are_one(encoders):
    texts = ["Baba conder. Elfi grahu.\n\nChapter One", "Chapter One\n\nChapter Two", "Baba"]
    encoded = encode_documents(encoders["bpe"], texts)
    assert texts_of_sentences(encoders["bpe"], encoded) == [
        "Baba conder.",
        " Elfi grahu.Chapter One",
        "Chapter OneChapter Two",
        "Baba",
    ]


def test_a_heading_without_tokens_joins_nothing(encoders):
    """WordPiece drops control characters: such a line is no heading, and no bridge either."""
    encoder = encoders["wordpiece"]
    without = encode_documents(encoder, ["Baba conder.\n\nElfi grahu."])
    encoded = encode_documents(encoder, ["Baba conder.\n\n\x00\x01\n\nElfi grahu."])
    assert encoded.input_ids.tolist() == without.input_ids.tolist()
    assert encoded.sentences.tolist() == without.sentences.tolist()


def test_a_word_begins_where_the_tokenizer_says(encoders):
    for kind, expected in {"wordpiece": 4, "bpe": 4}.items():
        encoded = encode_documents(encoders[kind], ["Xyuk, vwxk xxu"])
        assert encoded.is_word_start.sum() == expected
        assert encoded.is_word_start[0]
        assert len(encoded.input_ids) > expected


def test_two_words_of_neighbouring_paragraphs_are_two(encoders):
    encoded = encode_documents(encoders["wordpiece"], ["ba\n\nba"])
    assert encoded.is_word_start.tolist() == [True, True]


def test_typed_special_tokens_are_text(encoders):
    for encoder in encoders.values():
        encoded = encode_documents(encoder, ["[MASK] [SEP] [CLS] [PAD] [UNK]"])
        assert not set(encoded.input_ids.tolist()) & {0, 2, 3, 4}


def test_more_paragraphs_than_a_batch_are_encoded_alike(tokenizers, encoders):
    text = "\n\n".join(["Baba conder. Elfi."] * (BATCH_UNITS + 5))
    encoded = encode_documents(encoders["bpe"], [text])
    alone = encoders["bpe"].tokenizer.encode("Baba conder. Elfi.").ids[1:-1]
    assert encoded.input_ids.tolist() == alone * (BATCH_UNITS + 5)
    assert len(encoded.sentences) == 2 * (BATCH_UNITS + 5) + 1


def test_headings_are_recognised_over_a_whole_document():
    assert joins_next(paragraphs_of("One\n\nTwo\n\nText is here.")) == [True, True, False]


def test_a_missing_tokenizer_says_what_to_run(tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(DataError) as caught:
        load_tokenizer(path)
    assert caught.value.problem == f"no tokenizer at {path}"
    assert caught.value.remedy == "run `python cli.py tokenize` first"


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"\xff\xfe\x00", b'{"model": 3}'])
def test_a_broken_tokenizer_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"tokenizer\.json is not a tokenizer \("):
        load_tokenizer(path)


def test_a_cut_tokenizer_is_named(tmp_path: Path, tokenizer_folder: Path):
    path = tmp_path / "tokenizer.json"
    content = (tokenizer_folder / "tokenizer.json").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"tokenizer\.json is not a tokenizer \("):
        load_tokenizer(path)


@pytest.mark.parametrize("change", ["enable_truncation", "enable_padding"])
def test_a_tokenizer_that_truncates_or_pads_does_not_do_so_here(
    tmp_path: Path, tokenizer_folder, change: str
):
    """Many published ones do, for single inputs; a corpus is to be kept whole and as it is."""
    text = "Baba conder elfi grahu.\n\nGrahu."
    tokenizer = load_tokenizer(tokenizer_folder / "tokenizer.json")
    expected = encode_documents(Encoder(tokenizer), [text]).input_ids.tolist()
    if change == "enable_truncation":
        tokenizer.enable_truncation(3)
    else:
        tokenizer.enable_padding(length=40)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert encode_documents(Encoder(again), [text]).input_ids.tolist() == expected
