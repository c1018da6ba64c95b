"""Published vocabularies give the ids of the libraries that they were published for."""

import shutil
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertTokenizer, GPT2Tokenizer

from pipeline.config import ImportConfig
from pipeline.encode import Encoder, load_tokenizer
from pipeline.sentences import paragraphs_of
from pipeline.tokenizer import import_tokenizer

pytestmark = pytest.mark.slow
ODD = [
    "a(b) x-y 3.5, 1,000, “q” – £5 €6 (a)b don't ``x'' Été ﬁ ½ \u3000x\u200by",
    "ΑΣ İstanbul naïve 中文 한국 \U0001f469\u200d\U0001f680 a\u0301\u0323  two  spaces\ttab",
]
PADDED = ImportConfig(pad_to_multiple_of=8)


@pytest.fixture(scope="module")
def vocabularies(real_data: Path) -> Path:
    folder = real_data / "vocab"
    if not folder.is_dir():
        pytest.skip(f"{real_data} has no vocab/")
    return folder


@pytest.fixture(scope="module")
def paragraphs(real_data: Path) -> list[str]:
    """About 1.4 MB of real text, and odd characters."""
    files = [real_data / "text" / name for name in ("botchan.txt", "tinyshakespeare.txt")]
    if not all(file.is_file() for file in files):
        pytest.skip(f"{real_data} has no text/botchan.txt or text/tinyshakespeare.txt")
    return [
        *(line for file in files for line in paragraphs_of(file.read_text(encoding="utf-8-sig"))),
        *ODD,
    ]


def ids_of(tokenizer: Tokenizer, paragraphs: list[str]) -> list[list[int]]:
    return [one.ids for one in tokenizer.encode_batch(paragraphs, add_special_tokens=False)]


def check(path: Path, out: Path, theirs, paragraphs: list[str]) -> None:
    """Compare ids with those of `theirs`, and those of the folder as transformers loads it."""
    import_tokenizer(path, None, out, PADDED)
    tokenizer = load_tokenizer(out / "tokenizer.json")
    assert Encoder(tokenizer).path == "columnar"
    found = ids_of(tokenizer, paragraphs)
    assert found == theirs(paragraphs, add_special_tokens=False)["input_ids"]
    loaded = AutoTokenizer.from_pretrained(out)
    assert found == loaded(paragraphs, add_special_tokens=False)["input_ids"]
    assert len(loaded) % 8 == 0


@pytest.mark.parametrize("kind", ["uncased", "cased"])
def test_bert(tmp_path: Path, vocabularies: Path, paragraphs, kind: str):
    path = vocabularies / f"bert-base-{kind}-vocab.txt"
    (tmp_path / "theirs").mkdir()
    shutil.copy(path, tmp_path / "theirs" / "vocab.txt")
    theirs = BertTokenizer.from_pretrained(tmp_path / "theirs", do_lower_case=kind == "uncased")
    check(path, tmp_path / "out", theirs, paragraphs)


@pytest.mark.parametrize("name", ["gpt2", "algpt2-tokenizer", "gpt2-tiny-bigscience"])
def test_gpt2(tmp_path: Path, vocabularies: Path, paragraphs, name: str):
    (tmp_path / "theirs").mkdir()
    for file in ("vocab.json", "merges.txt"):
        shutil.copy(vocabularies / name / file, tmp_path / "theirs" / file)
    theirs = GPT2Tokenizer.from_pretrained(tmp_path / "theirs")
    check(vocabularies / name, tmp_path / "out", theirs, paragraphs)


def test_albert_is_equal_to_sentencepiece(tmp_path: Path, vocabularies: Path, paragraphs):
    """`AlbertTokenizer` of transformers 5.23 is not: it makes "(", "▁b" of "(b"."""
    from sentencepiece import SentencePieceProcessor

    path = vocabularies / "albert-spiece.model"
    theirs = SentencePieceProcessor(model_file=str(path))
    expected = theirs.encode([preprocess(paragraph) for paragraph in paragraphs])
    counts = import_tokenizer(path, None, tmp_path, PADDED).manifest.counts
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    assert Encoder(tokenizer).path == "columnar"
    assert ids_of(tokenizer, paragraphs) == expected
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(paragraphs, add_special_tokens=False)["input_ids"] == expected
    assert counts["special_ids"] == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    assert counts["special_tokens"]["pad"] == "<pad>"


def preprocess(text: str) -> str:
    """Do what ALBERT does before sentencepiece (`preprocess_text` of its tokenization.py)."""
    text = text.replace("``", '"').replace("''", '"')
    text = unicodedata.normalize("NFKD", text)
    return "".join(one for one in text if not unicodedata.combining(one)).lower()
