"""Text to ids: our columns of words against `encode_batch_fast` of `tokenizers`, on one core.

All sides encode the same paragraphs, each by itself, with the same tokenizer, in one process and in
turn. Ours counts everything from the text to the flat ids, new words included, and so does
`gigatoken`; both learn from the text, and get all of it in every round. `encode_batch_fast` and
`tiktoken` are as fast on any part of it, and get every third block in each round, another third
each time: so every paragraph is compared. A ratio is of the two rates of a round. What is learnt
from a tokenizer once (`load`) and a worker's peak of memory are measured in a process of its own.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
from tokenizers import Tokenizer

from benchmarks.encoding.engines import (
    LIBRARY,
    PEERS,
    Engine,
    FlatIds,
    count_differing,
    hearth,
    is_gpt2_like,
)
from benchmarks.encoding.kinds import KINDS, tokenizers_of
from benchmarks.encoding.options import text_options
from benchmarks.encoding.text import Block, find_sources, read_blocks, size_of
from benchmarks.encoding.worker import Stream, Streamed, load, run_alone

ROUNDS = 3
MOST_CORES = 1.1
"""CPU seconds a second of an engine that keeps to one core, with some room for the clock."""


@dataclass(frozen=True)
class Run:
    """One side in one round: MB of text a second, and the ids of a third of the blocks."""

    mb_per_s: float
    ids: dict[int, FlatIds]


@dataclass(frozen=True)
class Rate:
    """One side beside ours.

    Attributes:
        mb_per_s: MB of text a second.
        ratio: Our rate, divided by it.
        differing: Paragraphs whose ids are not ours.
    """

    mb_per_s: float
    ratio: float
    differing: int


@dataclass(frozen=True)
class Measured:
    """All sides on one tokenizer; a side that was not run is told in words."""

    kind: str
    name: str
    mb_per_s: float
    others: dict[str, Rate | str]
    worker: Streamed

    @property
    def library(self) -> Rate:
        """Return the side that all is compared with."""
        rate = self.others[LIBRARY.name]
        if isinstance(rate, str):
            raise TypeError(rate)
        return rate


@click.command()
@text_options(limit=100)
def main(
    text: Path,
    sources: tuple[str, ...],
    kinds: tuple[str, ...],
    limit: int,
    vocab: Path,
    memory: int,
) -> None:
    """Print the rates of all sides for each type of tokenizer; the table is Markdown."""
    found_sources = find_sources(text, sources)
    blocks = list(read_blocks(found_sources, limit * 10**6))
    if len(blocks) < ROUNDS:
        raise click.UsageError(f"{text} has {len(blocks)} MB of text; {ROUNDS} MB are needed")
    size = sum(map(size_of, blocks)) / 1e6
    print(f"{size:.1f} MB of {', '.join(sources) or text}, {sum(map(len, blocks)):,} paragraphs\n")
    print("\n".join(HEADER))
    found = []
    for kind in kinds or KINDS:
        for name, tokenizer in tokenizers_of(kind, vocab, found_sources).items():
            job = Stream(tokenizer.to_str(), text, sources, limit * 10**6, memory)
            rate, others = _measure(hearth(memory), tokenizer, blocks)
            found.append(Measured(kind, name, rate, others, run_alone(job)))
            print(_row(found[-1]), flush=True)
    result = _result(found)
    print("\n" + json.dumps(result))
    sys.exit(0 if result["identical"] else 1)


def _measure(
    ours: Engine, tokenizer: Tokenizer, blocks: list[Block]
) -> tuple[float, dict[str, Rate | str]]:
    """Return our rate, and all other sides."""
    load(tokenizer, blocks[0])
    engines, others = _usable(tokenizer)
    own_rates = []
    rates: dict[str, list[Rate]] = {engine.name: [] for engine in engines}
    for number in range(ROUNDS):
        part = range(number, len(blocks), ROUNDS)
        mine = _run(ours, tokenizer, blocks, part)
        own_rates.append(mine.mb_per_s)
        for engine in engines:
            rates[engine.name].append(_compare(mine, _run(engine, tokenizer, blocks, part)))
    for name, of_rounds in rates.items():
        others[name] = Rate(
            median(rate.mb_per_s for rate in of_rounds),
            median(rate.ratio for rate in of_rounds),
            sum(rate.differing for rate in of_rounds),
        )
    return median(own_rates), others


def _usable(tokenizer: Tokenizer) -> tuple[list[Engine], dict[str, Rate | str]]:
    """Return the engines that can be run, and why the others are not."""
    engines, others = [LIBRARY], dict[str, Rate | str]()
    for engine in PEERS:
        if not is_gpt2_like(tokenizer):
            others[engine.name] = "-"
            continue
        try:
            engine.start(tokenizer)
        except ModuleNotFoundError:
            others[engine.name] = "not installed"
        else:
            engines.append(engine)
    return engines, others


def _run(engine: Engine, tokenizer: Tokenizer, blocks: list[Block], part: range) -> Run:
    """Encode all blocks, or only `part` where an engine does not learn; keep the ids of `part`."""
    encode = engine.start(tokenizer)
    ids = {}
    size = 0
    seconds = cpu_seconds = 0.0
    for number in range(len(blocks)) if engine.learns else part:
        start, cpu_start = time.perf_counter(), time.process_time()
        raw = encode(blocks[number])
        seconds += time.perf_counter() - start
        cpu_seconds += time.process_time() - cpu_start
        size += size_of(blocks[number])
        if number in part:
            ids[number] = engine.flatten(raw)
    if cpu_seconds > MOST_CORES * seconds:
        cores = cpu_seconds / seconds
        raise SystemExit(f"{engine.name} took {cores:.1f} cores: these are no rates of one core")
    return Run(size / 1e6 / seconds, ids)


def _compare(ours: Run, other: Run) -> Rate:
    differing = sum(count_differing(ours.ids[number], ids) for number, ids in other.ids.items())
    return Rate(other.mb_per_s, ours.mb_per_s / other.mb_per_s, differing)


HEADER = [
    "| tokenizer | identical | hearth | encode_batch_fast | ratio | gigatoken | tiktoken "
    "| load | peak of a worker |",
    "|---|---|---|---|---|---|---|---|---|",
]


def _row(one: Measured) -> str:
    """Return a line of the table; what is not columnar, or not exact, is said where it is."""
    exact = "yes" if one.library.differing == 0 else f"no: {one.library.differing:,} differ"
    way = "" if one.worker.path == "columnar" else f", {one.worker.path}"
    cells = [
        f"{one.kind}, {one.name}",
        exact,
        f"{one.mb_per_s:.1f} MB/s{way}",
        f"{one.library.mb_per_s:.2f} MB/s",
        f"{one.library.ratio:.1f}",
        *(_cell(one.others[engine.name]) for engine in PEERS),
        f"{one.worker.load_seconds:.1f} s",
        f"{one.worker.peak_bytes / 1e6:,.0f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def _cell(rate: Rate | str) -> str:
    if isinstance(rate, str):
        return rate
    differing = f", {rate.differing:,} differ" if rate.differing else ""
    return f"{rate.mb_per_s:.1f} MB/s{differing}"


def _result(found: list[Measured]) -> dict[str, object]:
    """Return the last line: the first tokenizer (WordPiece, unless left out), then each type's."""
    types: dict[str, object] = {}
    trained: dict[str, object] = {}
    for one in found:
        (trained if one.kind in types else types)[one.kind] = _figures(one)
    identical = all(one.library.differing == 0 for one in found)
    first = {"benchmark": "encode", **_figures(found[0]), "identical": identical}
    return {**first, **types, **({"trained": trained} if trained else {})}


def _figures(one: Measured) -> dict[str, object]:
    peers = {
        engine.name: {"mb_per_s": round(rate.mb_per_s, 1), "differing": rate.differing}
        if isinstance(rate := one.others[engine.name], Rate)
        else rate
        for engine in PEERS
    }
    return {
        "tokenizer": one.name,
        "ratio": round(one.library.ratio, 1),
        "identical": one.library.differing == 0,
        "mb_per_s": round(one.mb_per_s, 1),
        "peak_rss_mb": round(one.worker.peak_bytes / 1e6),
        "path": one.worker.path,
        "peers": {name: figure for name, figure in peers.items() if figure != "-"},
    }
