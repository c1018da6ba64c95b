"""Text to ids: our columns of words against `encode_batch_fast` of `tokenizers`, on one core.

Both encode the same paragraphs, each by itself, with the same tokenizer. Ours counts everything
from the text to the ids, new words included; what it learns from the tokenizer once (`load`) is
told apart. The library takes a third of the text in each round, and every id is compared.
Needs HEARTH_DATA, a folder with vocab/bert-base-uncased-vocab.txt and vocab/gpt2.
"""

import json
import os
import resource
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median

os.environ["RAYON_NUM_THREADS"] = "1"  # before tokenizers is imported

import click
import numpy as np
from numpy.typing import NDArray
from tokenizers import (
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from pipeline.documents import read_texts
from pipeline.encode import Encoder
from pipeline.sentences import paragraphs_of
from pipeline.texts import text_sources

ROUNDS = 3
BLOCK_BYTES = 1 << 20
UNIGRAM_TEXT, UNIGRAM_SIZE = 5_000_000, 8000


@dataclass(frozen=True)
class Measured:
    """Both sides on one tokenizer; rates in MB of text a second."""

    ours: float
    library: float
    ratio: float
    load_seconds: float
    identical: bool
    peak_bytes: int


@click.command()
@click.option("--text", type=click.Path(path_type=Path), default=Path("data/text"), help="of fetch")
@click.option("--type", "kinds", multiple=True, type=click.Choice(["wordpiece", "bpe", "unigram"]))
@click.option("--limit", type=int, default=100, help="MB of text")
def main(text: Path, kinds: tuple[str, ...], limit: int) -> None:
    """Print the rates of both sides for each type of tokenizer."""
    blocks = _blocks(text, limit * 10**6)
    result: dict[str, object] = {"benchmark": "encode"}
    for kind in kinds or ("wordpiece", "bpe", "unigram"):
        found = _measure(_tokenizer(kind, blocks), blocks)
        print(
            f"{kind:10} ours {found.ours:6.1f} MB/s, tokenizers {found.library:5.2f} MB/s, "
            f"{found.ratio:5.1f} times; load {found.load_seconds:.1f} s, "
            f"peak {found.peak_bytes / 1e6:,.0f} MB, identical: {found.identical}"
        )
        result[kind] = {
            "ratio": round(found.ratio, 1),
            "identical": found.identical,
            "mb_per_s": round(found.ours, 1),
            "peak_rss_mb": round(found.peak_bytes / 1e6),
        }
    print(json.dumps(result))


def _blocks(folder: Path, limit: int) -> list[list[str]]:
    """Return paragraphs in blocks of about 1 MB, as `pack` reads them."""
    blocks: list[list[str]] = [[]]
    total = size = 0
    for source in text_sources(folder):
        for group in source.row_groups():
            for paragraph in chain.from_iterable(map(paragraphs_of, read_texts(group))):
                blocks[-1].append(paragraph)
                size += len(paragraph.encode())
                if size >= BLOCK_BYTES:
                    total, size = total + size, 0
                    if total >= limit:
                        return blocks
                    blocks.append([])
    return blocks


def _tokenizer(kind: str, blocks: list[list[str]]) -> Tokenizer:
    vocab = Path(os.environ["HEARTH_DATA"]) / "vocab"
    tokenizer: Tokenizer
    if kind == "wordpiece":
        path = vocab / "bert-base-uncased-vocab.txt"
        tokenizer = BertWordPieceTokenizer(str(path), lowercase=True)._tokenizer
    elif kind == "bpe":
        names = (str(vocab / "gpt2" / name) for name in ("vocab.json", "merges.txt"))
        tokenizer = ByteLevelBPETokenizer(*names)._tokenizer
    else:
        tokenizer = _train_unigram(blocks)
    tokenizer.encode_special_tokens = True
    return tokenizer


def _train_unigram(blocks: list[list[str]]) -> Tokenizer:
    """Train a small Unigram with ALBERT's kind of normalizer and pre-tokenizer."""
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    splitters = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splitters)
    trainer = trainers.UnigramTrainer(
        vocab_size=UNIGRAM_SIZE, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    sample = chain.from_iterable(blocks[: UNIGRAM_TEXT // BLOCK_BYTES])
    tokenizer.train_from_iterator(sample, trainer)
    return tokenizer


def _measure(tokenizer: Tokenizer, blocks: list[list[str]]) -> Measured:
    start = time.perf_counter()
    Encoder(tokenizer).encode(blocks[0][:1100], [()] * 1100)  # compiles
    load = time.perf_counter() - start
    ours, library, ratios = [], [], []
    identical = True
    size = sum(len(text.encode()) for text in chain.from_iterable(blocks)) / 1e6
    peak = 0
    for number in range(ROUNDS):
        encoder = Encoder(tokenizer)
        start = time.perf_counter()
        found = [encoder.encode(block, [()] * len(block)).input_ids for block in blocks]
        ours.append(size / (time.perf_counter() - start))
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        rate, same = _library(tokenizer, blocks[number::ROUNDS], found[number::ROUNDS])
        library.append(rate)
        ratios.append(ours[-1] / rate)
        identical = identical and same and encoder.path == "columnar"
    return Measured(median(ours), median(library), median(ratios), load, identical, peak)


def _library(
    tokenizer: Tokenizer, blocks: list[list[str]], expected: list[NDArray[np.uint32]]
) -> tuple[float, bool]:
    """Return the library's rate, and whether it gives the same ids."""
    seconds, size, same = 0.0, 0, True
    for block, ids in zip(blocks, expected, strict=True):
        start = time.perf_counter()
        encodings = tokenizer.encode_batch_fast(block, add_special_tokens=False)
        found = [encoding.ids for encoding in encodings]
        seconds += time.perf_counter() - start
        size += sum(len(text.encode()) for text in block)
        same = same and np.array_equal(np.fromiter(chain.from_iterable(found), np.uint32), ids)
    return size / 1e6 / seconds, same
