"""All of `pack`, Parquet in and shards out, against bare `encode_batch_fast` on the same text.

Both sides run on one core in one process and in turn. Ours counts everything: reading, sentences,
ids, rows, masks, shuffling, hashing, writing to the disk, and in every round anew what it learns of
the tokenizer and of words. `encode_batch_fast` gets the paragraphs ready in memory, and only every
third block of them in each round, another third each time: its rate does not depend on the rest.
A MB is a million bytes of paragraphs in UTF-8 for both. A ratio is of the two rates of a round.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import click
from tokenizers import Tokenizer

from benchmarks.encoding.engines import LIBRARY
from benchmarks.encoding.kinds import PUBLISHED, SAMPLE_BYTES, TRAINED, TRAINED_SIZE
from benchmarks.encoding.text import Block, find_sources, read_blocks, size_of
from benchmarks.encoding.worker import peak_bytes
from pipeline import encode, held_rows, layouts, shard_task
from pipeline.config import ImportConfig, PackConfig, TokenizeConfig
from pipeline.divide import divide
from pipeline.encode import MEMORY, load_tokenizer
from pipeline.flags import build, configured_by
from pipeline.pack import pack
from pipeline.shard_task import make_shard
from pipeline.stage import Outcome
from pipeline.tables import align
from pipeline.tokenizer import import_tokenizer, train_tokenizer
from pipeline.workers import process_pool

ROUNDS = 3
ALBERT_ROWS_PER_S = 292
"""Rows of 128 tokens that create_pretraining_data.py of google-research/ALBERT makes a second on
one core of such a machine, sentence order and n-gram masks included."""
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "learn the tokenizer's rules": ((shard_task, "Encoder"),),
    "read Parquet": ((shard_task, "read_texts"),),
    "choose by hash": ((shard_task, "choose"),),
    "paragraphs and sentences": ((encode, "split_document"), (encode, "joins_next")),
    "words to ids": ((encode.Encoder, "encode"),),
    "chunks": ((layouts, "make_chunks"),),
    "rows and masks": ((layouts, "make_rows"),),
    "count": ((layouts.SegmentRows, "_count"),),
    "shuffle": ((held_rows, "scatter"),),
    "hash and write": ((held_rows, "write_shard"),),
}
"""What is timed, none inside another; the pipeline itself knows nothing of it."""


@click.command()
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    default=Path("data/text"),
    show_default=True,
    help="folder of sources that `fetch` wrote",
)
@click.option(
    "--vocab",
    type=click.Path(path_type=Path),
    default=Path(os.environ.get("HEARTH_DATA", "data")) / "vocab",
    help="published vocabularies  [default: vocab in $HEARTH_DATA, else data/vocab]",
)
@configured_by(PackConfig)
def main(text: Path, vocab: Path, **options: Any) -> None:  # noqa: ANN401
    """Print rates, where the time goes, and what a worker takes; pack's own options hold."""
    config = build(PackConfig, options)
    blocks = list(read_blocks(find_sources(text, ()), sys.maxsize))
    if len(blocks) < ROUNDS:
        raise click.UsageError(f"{text} has {len(blocks)} MB of text; {ROUNDS} MB are needed")
    size = sum(map(size_of, blocks)) / 1e6
    print(f"{size:.1f} MB of {text}, rows of {','.join(map(str, config.max_length))} tokens")
    with TemporaryDirectory() as name:
        folder = Path(name)
        print(f"tokenizer: {_make_tokenizer(text, vocab, folder / 'tokenizer')}\n")
        bench = _Bench(text, folder, config, size)
        bench.run(1)  # loads, or compiles, all code
        rounds = [_round(bench, blocks, number) for number in range(ROUNDS)]
        one, two, library = (list(column) for column in zip(*rounds, strict=True))
        outcome, seconds = bench.run_timed()
        peak = bench.peak()
    _print_steps(seconds, size)
    result = {
        "benchmark": "pack",
        "ratio": round(median(ours / other for ours, other in zip(one, library, strict=True)), 2),
        **_figures(outcome, median(one), size),
        "encode_batch_fast": round(median(library), 2),
        "two_workers": round(median(more / ours for more, ours in zip(two, one, strict=True)), 2),
        "peak_rss_mb": round(peak / 1e6),
    }
    print("\n" + json.dumps(result))


def _make_tokenizer(text: Path, vocab: Path, out: Path) -> str:
    """Write the folder of BERT's tokenizer, or of one trained here; return its name."""
    name, places = PUBLISHED["wordpiece"]
    for path in (vocab / place for place in places):
        if path.is_file():
            import_tokenizer(path, None, out, ImportConfig())
            return name
    train_tokenizer(text, out, TokenizeConfig(vocab_size=TRAINED_SIZE, sample=SAMPLE_BYTES))
    return TRAINED


class _Bench:
    """Runs of `pack` on one text.

    Args:
        text: Its folder.
        folder: Where the tokenizer lies and shards may be written.
        config: How rows are made.
        size: MB of paragraphs.
    """

    def __init__(self, text: Path, folder: Path, config: PackConfig, size: float) -> None:
        self.text, self.folder, self.config, self.size = text, folder, config, size
        self.tokenizer = folder / "tokenizer"

    @contextmanager
    def _out(self) -> Iterator[Path]:
        with TemporaryDirectory(dir=self.folder) as out:
            yield Path(out)

    def run(self, workers: int) -> tuple[Outcome, float, float]:
        """Pack all; return what came of it, seconds, and seconds of this process's cores."""
        vars(shard_task)["_encoder"].cache_clear()  # a new process has learnt nothing
        with self._out() as out:
            start, cpu_start = time.perf_counter(), time.process_time()
            outcome = pack(self.text, self.tokenizer, out, self.config, workers)
            return outcome, time.perf_counter() - start, time.process_time() - cpu_start

    def run_timed(self) -> tuple[Outcome, dict[str, float]]:
        """Pack all; return what came of it, and the seconds of each step and of the rest."""
        seconds = dict.fromkeys(STEPS, 0.0)
        with ExitStack() as stack:
            for step, places in STEPS.items():
                for owner, name in places:
                    timed = _timed(getattr(owner, name), seconds, step)
                    stack.enter_context(mock.patch.object(owner, name, timed))
            outcome, total, _ = self.run(1)
        return outcome, seconds | {"all else": total - sum(seconds.values())}

    def peak(self) -> int:
        """Return the most memory of a worker that makes all shards."""
        with self._out() as out, process_pool(1) as executor:
            tasks = divide(self.text, self.tokenizer, out, self.config, MEMORY).tasks()
            for task in tasks:
                executor.submit(make_shard, task).result()
            return executor.submit(peak_bytes).result()


def _timed(
    function: Callable[..., Any], seconds: dict[str, float], step: str
) -> Callable[..., Any]:
    """Return the function, which adds its seconds to those of a step."""

    def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            seconds[step] += time.perf_counter() - start

    return call


def _round(bench: _Bench, blocks: list[Block], number: int) -> tuple[float, float, float]:
    """Return MB a second of pack with one worker, with two, and of `encode_batch_fast`."""
    _, seconds, cpu_seconds = bench.run(1)
    if cpu_seconds > 1.1 * seconds:
        raise SystemExit(f"pack took {cpu_seconds / seconds:.1f} cores: this is no rate of one")
    _, two_seconds, _ = bench.run(2)
    tokenizer = load_tokenizer(bench.tokenizer / "tokenizer.json")
    some = blocks[number::ROUNDS]
    library = sum(map(size_of, some)) / 1e6 / _encode_all(tokenizer, some)
    return bench.size / seconds, bench.size / two_seconds, library


def _encode_all(tokenizer: Tokenizer, blocks: list[Block]) -> float:
    """Return the seconds that `encode_batch_fast` takes."""
    run = LIBRARY.start(tokenizer)
    start = time.perf_counter()
    for block in blocks:
        run(block)
    return time.perf_counter() - start


def _print_steps(seconds: dict[str, float], size: float) -> None:
    total = sum(seconds.values())
    lines = [("step", "ms a MB", "share")]
    for step, taken in [*seconds.items(), ("all", total)]:
        lines.append((step, f"{1e3 * taken / size:.2f}", f"{100 * taken / total:.1f} %"))
    print("\n".join(align(lines)))


def _figures(outcome: Outcome, mb_per_s: float, size: float) -> dict[str, Any]:
    """Return what the balance sheet says of all rows."""
    manifest = outcome.manifest
    counts = manifest.counts["balance"]["all"]
    lengths = manifest.counts["max_lengths"]
    rows = {length: counts[f"{length}/rows"] for length in lengths}
    slots = sum(length * number for length, number in rows.items())
    names = [name for name in manifest.files if name.endswith(".arrow")]
    kept = sum(counts[f"{length}/tokens_kept"] for length in lengths)
    rows_per_s = sum(rows.values()) * mb_per_s / size
    return {
        "mb_per_s": round(mb_per_s, 2),
        "rows_per_s": round(rows_per_s),
        "times_albert": round(rows_per_s / ALBERT_ROWS_PER_S, 1),
        "bytes_per_slot": round(sum(manifest.files[name].bytes for name in names) / slots, 3),
        "fill": round(sum(counts[f"{length}/real_tokens"] for length in lengths) / slots, 4),
        "kept": round(kept / counts["tokens"] / len(lengths), 6),
    }
