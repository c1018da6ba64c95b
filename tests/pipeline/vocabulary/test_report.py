from pathlib import Path

import pytest

from pipeline.encode import load_tokenizer
from pipeline.texts import text_sources
from pipeline.vocabulary.report import SENTENCE_CHARACTERS, readable_tokens, report
from pipeline.vocabulary.sample import draw_sample

KINDS = ["wordpiece", "bpe", "unigram"]

LINE = "Many words stand in this line so that it is long enough to be shown, number {}."


@pytest.fixture
def sample(tmp_path: Path, write_source):
    write_source(tmp_path / "one", [LINE.format(number) for number in range(9)])
    write_source(tmp_path / "two", ["中\n\n\u4e8c 丁 丁."])
    write_source(tmp_path / "void", [])
    return draw_sample(text_sources(tmp_path), None)


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_those_of_the_paragraphs(sample, trained, kind: str):
    tokenizer = load_tokenizer(trained[kind] / "tokenizer.json")
    rates = report(tokenizer, "[UNK]", sample)["sources"]
    assert set(rates) == {"one", "two"}
    ids = [
        id_
        for number in range(9)
        for id_ in tokenizer.encode(LINE.format(number), add_special_tokens=False).ids
    ]
    characters = 9 * len(LINE.format(1))
    words = 9 * len(LINE.split())
    assert rates["one"] == {
        "characters": characters,
        "tokens_per_word": round(len(ids) / words, 4),
        "characters_per_token": round(characters / len(ids), 4),
        "unknown_rate": round(ids.count(1) / len(ids), 6),
    }
    assert (rates["two"]["unknown_rate"] > 0) == (kind != "bpe")


@pytest.mark.parametrize("kind", KINDS)
def test_five_sentences_are_cut(sample, trained, kind: str):
    tokenizer = load_tokenizer(trained[kind] / "tokenizer.json")
    sentences = report(tokenizer, "[UNK]", sample)["sentences"]
    assert sentences == [readable_tokens(tokenizer, LINE.format(number)) for number in range(5)]
    assert len(LINE) in SENTENCE_CHARACTERS


def test_bytes_are_shown_as_text(trained):
    tokenizer = load_tokenizer(trained["bpe"] / "tokenizer.json")
    assert "".join(readable_tokens(tokenizer, "Été is here, ok")).replace("\ufffd", "") in (
        "Été is here, ok",
        "t is here, ok",
        "Ét is here, ok",
        "té is here, ok",
    )
