"""`fetch --from` on real files of each source; the Wikipedia dump against `wikiextractor` alone.

Needs HEARTH_DATA, a folder with downloads in the tree mirror/HOST/PATH, and 46.7 MB of web text in
OpenWebText's layout. The dump is a multistream file with its page streams repeated, so that
starting up counts for little. wikiextractor runs with as many processes, without templates (we
expand some) and writes JSON; both sides must find the same articles. Peak memory is the sum of the
resident sets of a command and its workers.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

PROCESSES = os.cpu_count() or 1
ROUNDS, REPEATS = 3, 8
FILES = {
    "gutenberg": "mirror/drive.google.com/*/Gutenberg.zip",
    "openwebtext": "webtext/openwebtext.tar.xz",
    "wikipedia": "mirror/dumps.wikimedia.org/enwiki/latest/*-multistream.xml.bz2",
}


@dataclass(frozen=True)
class Measured:
    """One command: seconds, CPU seconds of it and its workers, and peak memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    largest_process: int


def main() -> None:
    """Print MB of text per second and core, peak memory, and the ratio to wikiextractor."""
    downloads = Path(os.environ["HEARTH_DATA"])
    result: dict[str, object] = {"benchmark": "extract", "processes": PROCESSES}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for source, pattern in FILES.items():
            [path] = downloads.glob(pattern)
            if source == "wikipedia":
                path = _repeat_streams(path, folder / path.name)
            result[source] = _measure_source(source, path, folder)
        result["ratio"] = _against_wikiextractor(folder / path.name, folder)
    print(json.dumps(result))


def _measure_source(source: str, path: Path, folder: Path) -> dict[str, float]:
    runs = []
    for number in range(ROUNDS):
        data = folder / f"{source}-{number}"
        runs.append(_fetch(source, path, data))
    counts = json.loads((data / "text" / source / "manifest.json").read_text())["counts"]
    size = counts["text_bytes"] + counts["dropped"].get("bytes of copies", 0)
    rate = size / 1e6 / median(run.seconds for run in runs) / PROCESSES
    peak = max(run.peak_bytes for run in runs) / 1e6
    largest = max(run.largest_process for run in runs) / 1e6
    print(
        f"{source:12} {size / 1e6:6.1f} MB of text, {rate:5.2f} MB/s a core, "
        f"peak {peak:,.0f} MB in all, {largest:,.0f} MB in one process"
    )
    return {"mb_per_s_per_core": round(rate, 2), "peak_mb": round(peak)}


def _against_wikiextractor(dump: Path, folder: Path) -> float:
    """Return wikiextractor's time divided by ours, median of rounds in turn."""
    ratios = []
    for number in range(ROUNDS):
        data, out = folder / f"ours-{number}", folder / f"theirs-{number}"
        ours = _fetch("wikipedia", dump, data)
        theirs = _run(
            [
                *(sys.executable, "-m", "wikiextractor.WikiExtractor", str(dump), "--json", "-q"),
                *("--no-templates", "-o", str(out), "--processes", str(PROCESSES)),
            ]
        )
        if number == 0:
            _check_same_articles(data, out)
        print(f"wikipedia    ours {ours.seconds:.1f} s, wikiextractor {theirs.seconds:.1f} s")
        ratios.append(theirs.seconds / ours.seconds)
    ratio = median(ratios)
    print(f"ratio {ratio:.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    return round(ratio, 2)


def _check_same_articles(data: Path, out: Path) -> None:
    parts = sorted((data / "text" / "wikipedia").glob("*.parquet"))
    ours = [name for part in parts for name in pq.read_table(part)["id"].to_pylist()]
    lines = [line for file in out.rglob("wiki_*") for line in file.read_text().splitlines()]
    theirs = [document["id"] for document in map(json.loads, lines) if document["text"].strip()]
    if sorted(ours) != sorted(theirs):
        raise SystemExit(f"{len(ours)} articles, and wikiextractor has {len(theirs)}")


def _repeat_streams(path: Path, target: Path) -> Path:
    """Write the dump again with its page streams several times; header and footer stay single."""
    raw = path.read_bytes()
    starts = [match.start() for match in re.finditer(rb"BZh91AY&SY", raw)]
    first, last = starts[1], starts[-1]
    target.write_bytes(raw[:first] + raw[first:last] * REPEATS + raw[last:])
    return target


def _fetch(source: str, path: Path, data: Path) -> Measured:
    command = [sys.executable, "cli.py", "fetch", source, "--from", str(path), "--data", str(data)]
    return _run([*command, "--workers", str(PROCESSES)])


def _run(command: list[str]) -> Measured:
    """Run a command to its end; a failure ends the benchmark with its output."""
    before = os.times()
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        peaks = [0, 0]
        watch = threading.Thread(target=_watch, args=(process.pid, peaks))
        watch.start()
        output, _ = process.communicate()
        seconds = time.perf_counter() - start
        watch.join()
    if process.returncode:
        raise SystemExit(output.decode())
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Measured(seconds, cpu, *peaks)


def _watch(pid: int, peaks: list[int]) -> None:
    """Note the largest resident sets (all, and one process) until the process has ended."""
    while sizes := _resident(pid):
        peaks[:] = max(peaks[0], sum(sizes)), max(peaks[1], *sizes)
        time.sleep(0.05)


def _resident(pid: int) -> list[int]:
    """Return the resident set of a process and its children, in bytes (Linux's /proc)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return []
    below = [size for child in children for size in _resident(int(child))]
    return [pages * os.sysconf("SC_PAGE_SIZE"), *below] if pages else []
