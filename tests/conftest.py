"""Fixtures shared by all tests: a small made-up corpus, and what each stage makes of it.

The folders are made once a session by the project's own functions; a test that changes one copies
it first.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.config import PackConfig, TokenizeConfig
from pipeline.documents import Document, DocumentWriter
from pipeline.pack import pack
from pipeline.tokenizer import train_tokenizer
from shards.manifest import Manifest, record_file
from tests.browser import BROWSERS, Browser, find_browser

# Before torch is imported: test processes already share the cores, and threads would only wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts a job in the background has it ignore Ctrl-C, which tests wait for.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The first example of a test may compile with numba, or load a library.
settings.register_profile("hearth", deadline=None)
settings.load_profile("hearth")

WriteSource = Callable[[Path, list[str]], None]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder named by HEARTH_DATA, or skip."""
    folder = os.environ.get("HEARTH_DATA")
    if not folder:
        pytest.skip("HEARTH_DATA names no folder of downloaded corpora")
    return Path(folder)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A page of a headless browser, or skip."""
    program = find_browser()
    if program is None:
        pytest.skip(f"no headless browser: none of {', '.join(BROWSERS)} is installed")
    browser = Browser(program, tmp_path)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def write_source() -> WriteSource:
    """Return a function that writes texts as `fetch` does: `write_source(text / name, texts)`."""

    def write(folder: Path, texts: list[str]) -> None:
        part = folder / "part-00000.parquet"
        with DocumentWriter(part) as writer:
            for number, text in enumerate(texts):
                writer.write(Document(str(number), f"title {number}", text))
        counts = {"documents": writer.documents, "text_bytes": writer.text_bytes}
        Manifest(
            stage="fetch",
            config={"source": folder.name, "limit": None},
            inputs={},
            files={part.name: record_file(part, len(texts))} if texts else {},
            counts=counts,
        ).write(folder)

    return write


@pytest.fixture(scope="session")
def prose() -> Callable[[int, int], list[str]]:
    """Return a function of (documents, seed) that makes up English-like documents."""
    return lambda documents, seed: list(_Prose(seed).documents(documents))


@pytest.fixture(scope="session")
def text_folder(
    tmp_path_factory: pytest.TempPathFactory,
    write_source: WriteSource,
    prose: Callable[[int, int], list[str]],
) -> Path:
    """A folder of two sources; the first has two row groups and thus two shards.

    Besides prose it holds an empty document, headings, a sentence longer than a row, and scripts
    other than Latin.
    """
    folder = tmp_path_factory.mktemp("text")
    write_source(folder / "books", [*prose(330, 1), *ODD_DOCUMENTS])
    write_source(folder / "pages", prose(60, 2))
    return folder


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> Path:
    """A WordPiece tokenizer of 600 entries, trained on `text_folder`."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(text_folder, folder, TokenizeConfig(vocab_size=600))
    return folder


@pytest.fixture(scope="session")
def shards_folder(
    tmp_path_factory: pytest.TempPathFactory, text_folder: Path, tokenizer_folder: Path
) -> Path:
    """`text_folder` packed into rows of 64 tokens, a tenth of the documents held out."""
    folder = tmp_path_factory.mktemp("shards")
    config = PackConfig(max_length=(64,), validation_fraction=0.1)
    pack(text_folder, tokenizer_folder, folder, config, workers=1)
    return folder


ODD_DOCUMENTS = [
    "",
    "A list\n\nFirst Part\n\nWhat follows is headed twice. It has two sentences.",
    "The longest " + "and longest " * 300 + "sentence ends here.",
    "Он пришёл домой. Её не было.\n\n我们在这里。他们在那里。\n\nשלום עולם. Naïve café.",
    "\N{GRINNING FACE} A typed [MASK] and a typed [SEP] are text. So is [CLS].",
    "x" * 500,
]


class _Prose:
    """Sentences of a made-up vocabulary of 900 words, their lengths and frequencies varied."""

    SYLLABLES = ("ba", "con", "der", "el", "fi", "gra", "hu", "in", "lo", "mer", "no", "per", "sta")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        words = random.Random(0)
        self.words = [
            "".join(words.choices(self.SYLLABLES, k=words.choice((1, 2, 2, 3, 3))))
            for _ in range(900)
        ]
        self.weights = [1 / (rank + 2) for rank in range(900)]

    def documents(self, count: int) -> Iterator[str]:
        for _ in range(count):
            paragraphs = [self.paragraph() for _ in range(self.random.randint(1, 16))]
            if self.random.random() < 0.3:
                paragraphs.insert(0, " ".join(self.some_words(3)).title())
            yield "\n\n".join(paragraphs)

    def paragraph(self) -> str:
        return " ".join(self.sentence() for _ in range(self.random.randint(1, 9)))

    def sentence(self) -> str:
        words = self.some_words(1 + int(self.random.lognormvariate(2.3, 0.6)))
        for place in range(2, len(words) - 1, 7):
            words[place] += ","
        return " ".join(words).capitalize() + self.random.choice("....?!")

    def some_words(self, count: int) -> list[str]:
        return self.random.choices(self.words, self.weights, k=count)
