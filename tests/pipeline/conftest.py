"""Tokenizers of all kinds, documents encoded with them, and disks with little room."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from pipeline.config import TokenizeConfig
from pipeline.encode import EncodedDocuments, Encoder, encode_documents, load_tokenizer
from pipeline.tokenizer import train_tokenizer
from shards.format import ShardHeader

pytest.register_assert_rewrite("tests.pipeline.text_files")

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that leaves so many bytes on every disk."""

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - free, free))

    return leave


@pytest.fixture(scope="session")
def bpe_folder(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> Path:
    """A byte-level BPE tokenizer of 600 entries, trained on `text_folder`."""
    folder = tmp_path_factory.mktemp("bpe")
    train_tokenizer(text_folder, folder, TokenizeConfig(type="bpe", vocab_size=600))
    return folder


@pytest.fixture(scope="session")
def folders(tokenizer_folder: Path, bpe_folder: Path, unigram_folder: Path) -> dict[str, Path]:
    """A tokenizer of each type, as `tokenize` wrote it."""
    return {"wordpiece": tokenizer_folder, "bpe": bpe_folder, "unigram": unigram_folder}


@pytest.fixture(scope="session")
def unigram_folder(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> Path:
    """A Unigram tokenizer of 600 entries, trained on `text_folder`."""
    folder = tmp_path_factory.mktemp("unigram")
    train_tokenizer(text_folder, folder, TokenizeConfig(type="unigram", vocab_size=600))
    return folder


@pytest.fixture(scope="session")
def tokenizers(tokenizer_folder: Path, bpe_folder: Path) -> dict[str, Tokenizer]:
    """Both tokenizers as `pack` loads them, by type."""
    folders = {"wordpiece": tokenizer_folder, "bpe": bpe_folder}
    return {kind: load_tokenizer(folder / "tokenizer.json") for kind, folder in folders.items()}


@pytest.fixture(scope="session")
def encoders(tokenizers: dict[str, Tokenizer]) -> dict[str, Encoder]:
    """Encoders that go the columnar way without comparing it first: tests do that."""
    made = {kind: Encoder(tokenizer) for kind, tokenizer in tokenizers.items()}
    for encoder in made.values():
        encoder._unchecked = 0
    return made


@pytest.fixture(scope="session")
def encoded(tokenizers, prose: Callable[[int, int], list[str]]) -> EncodedDocuments:
    """200 documents of made-up prose, encoded with WordPiece."""
    return encode_documents(Encoder(tokenizers["wordpiece"]), prose(200, 5))


@pytest.fixture(scope="session")
def make_header() -> Callable[..., ShardHeader]:
    """Return a function that makes a header for the tokenizers of these tests."""

    def make(**changes: object) -> ShardHeader:
        fields = {
            "max_length": 64,
            "vocab_size": 600,
            "mask_sets": 4,
            "mask_probability": 0.15,
            "pad_token_id": 0,
            "unk_token_id": 1,
            "cls_token_id": 2,
            "sep_token_id": 3,
            "mask_token_id": 4,
            "tokenizer": "0" * 64,
        }
        return ShardHeader(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def made_up() -> Callable[..., EncodedDocuments]:
    """Return a function that makes encoded documents from lengths of sentences.

    Tokens are numbered from 5 on, so that each can be told from its neighbours; a word begins where
    the seeded generator says, and at every sentence.
    """

    def make(documents: list[list[int]], seed: int = 0, word_starts: float = 0.6):
        lengths = [length for document in documents for length in document]
        sentences = np.cumsum([0, *lengths], dtype=np.int64)
        random = np.random.default_rng(seed)
        is_word_start = random.random(sentences[-1]) < word_starts
        is_word_start[sentences[:-1]] = True
        return EncodedDocuments(
            input_ids=np.arange(5, 5 + sentences[-1], dtype=np.uint32),
            is_word_start=is_word_start,
            is_punctuation=np.zeros(sentences[-1], np.bool_),
            sentences=sentences,
            documents=np.cumsum([0, *map(len, documents)], dtype=np.int64),
        )

    return make
