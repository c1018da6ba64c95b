"""`pack` from the command line with one worker and with several: processes, dask, and MPI.

Every run is the whole command, Python's start included. Before its time counts, its files must have
the hashes of those of one worker. In each round all kinds run in turn. What the machine itself
allows is measured beside it: several commands of one worker at once, each with a folder of its own.
A MB is a million bytes of text in UTF-8. Ratios are of the seconds of one round; the seconds that
do not grow with the text, those of a text of one document, are stated by themselves.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

from pipeline.config import TokenizeConfig
from pipeline.documents import Document, DocumentWriter
from pipeline.tables import align
from pipeline.texts import text_sources
from pipeline.tokenizer import train_tokenizer
from shards.manifest import Manifest, read_manifest, record_file

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
VOCABULARY, SAMPLE_BYTES = 8000, 5_000_000
STARTED_SECONDS = 60
"""How long a dask cluster has to come up."""


@click.command()
@click.option(
    "--text",
    type=click.Path(path_type=Path, exists=True),
    default=Path("data/text"),
    show_default=True,
    help="folder of sources that `python cli.py fetch` wrote; half a GB or more",
)
@click.option("--workers", type=click.IntRange(2), default=2, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--weights", default="", help="as of pack: a source named with 5 is packed five times"
)
def main(text: Path, workers: int, rounds: int, weights: str) -> None:
    """Print MB/s of each kind, and how many times one worker that is."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        print("training a tokenizer", flush=True)
        config = TokenizeConfig(vocab_size=VOCABULARY, sample=SAMPLE_BYTES)
        train_tokenizer(text, folder / "tokenizer", config)
        bench = _Bench(text.absolute(), folder, ["--weights", weights] if weights else [])
        starts = _starts(bench, workers)
        print(f"to begin takes {starts[0]:.1f} s with one worker, {starts[1]:.1f} s with {workers}")
        done = [_round(bench, _kinds(workers), workers) for _ in range(rounds)]
    size = done[0][0]
    print(f"{size:.0f} MB of {text} in each run; all files equal to one worker's\n")
    _report([seconds for _, seconds in done], size, workers, starts)


@dataclass(frozen=True)
class _Bench:
    """Runs of `pack` on one text.

    Attributes:
        text: Its folder.
        folder: Where the tokenizer lies and shards are written.
        options: Of pack.
    """

    text: Path
    folder: Path
    options: list[str]

    def command(self, out: Path) -> list[str]:
        """Return the command line after `python`."""
        paths = ["--text", self.text, "--tokenizer", self.folder / "tokenizer", "--out", out]
        return [str(word) for word in (ROOT / "cli.py", "pack", *paths, *self.options)]


Kind = Callable[[_Bench, Path], float]
"""Packs into a folder; returns the seconds of the command."""


def _kinds(workers: int) -> dict[str, Kind]:
    """Return the kinds that are installed here."""
    kinds: dict[str, Kind] = {
        "1 worker": lambda bench, out: _processes(bench, out, 1),
        f"{workers} processes": lambda bench, out: _processes(bench, out, workers),
    }
    if find_spec("distributed"):
        kinds[f"dask, {workers} workers"] = lambda bench, out: _dask(bench, out, workers)
    if find_spec("mpi4py") and _mpiexec():
        kinds[f"mpi, {workers} workers"] = lambda bench, out: _mpi(bench, out, workers)
    return kinds


def _mpiexec() -> str | None:
    return shutil.which("mpiexec", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")


def _processes(bench: _Bench, out: Path, workers: int) -> float:
    return _timed([sys.executable, *bench.command(out), "--workers", str(workers)])


def _mpi(bench: _Bench, out: Path, workers: int) -> float:
    before = [str(_mpiexec()), "-n", str(workers + 1), sys.executable, "-m", "mpi4py.futures"]
    return _timed([*before, *bench.command(out)])


def _dask(bench: _Bench, out: Path, workers: int) -> float:
    """Pack with a cluster that was started for it, whose workers have learnt nothing yet."""
    with _cluster(workers) as address:
        return _timed([sys.executable, *bench.command(out), "--executor", address])


def _timed(command: list[str]) -> float:
    start = time.perf_counter()
    result = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}\n{result.stderr}")
    return time.perf_counter() - start


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


@contextmanager
def _cluster(workers: int) -> Iterator[str]:
    """Yield the address of a dask scheduler whose workers are up."""
    from distributed import Client

    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = str(some.getsockname()[1])
    address = f"127.0.0.1:{port}"
    options = ["--nworkers", str(workers), "--nthreads", "1", "--memory-limit", "0"]
    commands = (
        ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"],
        ["worker", f"tcp://{address}", *options, "--no-dashboard"],
    )
    with TemporaryDirectory() as folder:
        processes = [
            subprocess.Popen(
                [BIN / "dask", *command],
                env=_environment(),
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in commands
        ]
        try:
            client: Any = Client(f"tcp://{address}", timeout=STARTED_SECONDS)  # type: ignore[no-untyped-call]
            client.wait_for_workers(workers, timeout=STARTED_SECONDS)
            client.close()
            yield f"dask://{address}"
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def _starts(bench: _Bench, workers: int) -> tuple[float, float]:
    """Return the seconds of packing one document, with one worker and with several."""
    small = bench.folder / "small"
    part = small / "one" / "part-00000.parquet"
    source = next(iter(text_sources(bench.text)))
    with DocumentWriter(part) as writer:
        writer.write(Document("0", "", "A sentence is here. " * 40 + f"From {source.name}."))
    Manifest(
        stage="fetch",
        config={"source": "one", "limit": None},
        inputs={},
        files={part.name: record_file(part, 1)},
        counts={"documents": 1, "text_bytes": writer.text_bytes},
    ).write(part.parent)
    tiny = _Bench(small, bench.folder, ["--validation-fraction", "0"])

    def seconds(count: int) -> float:
        with TemporaryDirectory(dir=bench.folder) as out:
            return _processes(tiny, Path(out), count)

    one, several = (median(seconds(count) for _ in range(3)) for count in (1, workers))
    return one, several


def _round(bench: _Bench, kinds: dict[str, Kind], workers: int) -> tuple[float, dict[str, float]]:
    """Return the MB of text, and the seconds of each kind and of commands of one worker at once."""
    seconds: dict[str, float] = {}
    expected: dict[str, str] = {}
    size = 0
    for name, kind in kinds.items():
        with TemporaryDirectory(dir=bench.folder) as out:
            seconds[name] = kind(bench, Path(out))
            manifest = read_manifest(Path(out))
        if manifest is None:
            raise SystemExit(f"{name}: no manifest")
        found = {file: record.blake3 for file, record in manifest.files.items()}
        expected = expected or found
        if found != expected:
            raise SystemExit(f"{name}: other bytes than one worker's")
        size = manifest.counts["balance"]["all"]["text_bytes"]
        print(f"{name}: {seconds[name]:.1f} s", flush=True)
    seconds[LIMIT] = _at_once(bench, workers)
    return size / 1e6, seconds


def _at_once(bench: _Bench, workers: int) -> float:
    """Return the seconds of several commands of one worker, as if they had divided the text."""
    with TemporaryDirectory(dir=bench.folder) as out:
        commands = [
            [sys.executable, *bench.command(Path(out) / str(number)), "--workers", "1"]
            for number in range(workers)
        ]
        start = time.perf_counter()
        running = [
            subprocess.Popen(command, env=_environment(), stdout=subprocess.DEVNULL)
            for command in commands
        ]
        if any([process.wait() for process in running]):
            raise SystemExit("a command of one worker failed")
        return (time.perf_counter() - start) / workers


LIMIT = "commands of 1 worker at once"


def _report(
    seconds: list[dict[str, float]],
    size: float,
    workers: int,
    starts: tuple[float, float],
) -> None:
    rates = {name: size / median(one[name] for one in seconds) for name in seconds[0]}
    times = {name: median(one["1 worker"] / one[name] for one in seconds) for name in seconds[0]}
    lines = [("", "MB/s", "times one worker")]
    for name in seconds[0]:
        label = f"{workers} {name}" if name == LIMIT else name
        lines.append((label, f"{rates[name]:.1f}", f"{times[name]:.2f}"))
    print("\n".join(align(lines)))
    result: dict[str, Any] = {
        "benchmark": "scale",
        "mb": round(size),
        "workers": workers,
        "ratio": round(times[f"{workers} processes"], 2),
        "machine": round(times[LIMIT], 2),
        "start_s": [round(start, 2) for start in starts],
        "identical": True,
        "mb_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "times": {name: round(time, 2) for name, time in times.items()},
    }
    print("\n" + json.dumps(result))
