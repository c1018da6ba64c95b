"""Whole training steps, data included: our trainer against the loop people write.

Theirs is `ElectraForMaskedLM` and `ElectraForPreTraining` with SDPA and one module of embeddings, a
`DataLoader` over memory-mapped `datasets` padded to the full width, masks drawn on the fly, fused
AdamW, clipping, a linear schedule: `benchmarks.training.peer`. Networks, learning rate, decay,
clipping, precision, threads and the rows of each step are the same on both sides, and nothing is
dropped out. Before anything is measured, the rows of a batch are compared, weights are copied, and
the losses compared.

Each side is a process of its own; they take turns, and the steps of a round begin and end with an
idle device. A step is all there is: reading, masks, both passes, clipping, the update. Tokens are
real ones: what padding costs is each side's own affair. Ratios are medians over rounds, by the
clock; `ratio_of_processor_time` counts the processor's seconds instead, in which other work on the
machine counts less. Memory is the peak of anonymous memory above what the imports take, or on a
CUDA device that of torch's allocator. `mfu` is the share that ours reaches of the rate of a large
product of matrices in that precision on that device, by the operations of `model.flops`.

Glibc's allocator is what GLIBC_TUNABLES makes it, on both sides.

`--memory` caps what torch's allocator may take of a CUDA device, on both sides; what CUDA itself
takes for a process is not in it. `--fits` sees in which of FITS each side trains within 4 GB; a CPU
has no such cap, and there the peak is compared.
"""

import json
import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast, get_args

import click

from benchmarks.training import hearth, peer
from benchmarks.training.agreement import check_agreement
from benchmarks.training.job import Job, Precision, size_of
from benchmarks.training.rows import write_rows
from benchmarks.training.side import Side, SideError, Steps
from model.flops import step_flops
from model.presets import PAIRS, PairName
from pipeline.flags import Size
from pipeline.tables import align

SIZE = 100_000_000
"""Bytes of the rows that are made where none are given."""
SIDES = {"hearth": hearth.__name__, "transformers": peer.__name__}
FITS: dict[PairName, tuple[int, int]] = {"home": (128, 128), "home-768": (128, 512)}
"""What must train in little memory: rows of a step, and places of a row."""
FITS_MEMORY, FITS_STEPS = 4_000_000_000, 3


@click.command()
@click.option(
    "--preset", type=click.Choice(list(PAIRS)), default="electra-small", show_default=True
)
@click.option("--rows", type=int, help="of a step  [default: 32; the preset's on a CUDA device]")
@click.option("--length", default=128, show_default=True, help="places of a row")
@click.option("--fill", default=0.78, show_default=True, help="share of places that hold tokens")
@click.option(
    "--shards",
    type=click.Path(path_type=Path, exists=True),
    help="what `pack` wrote  [default: rows of random ids, made as --fill says]",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="[default: float32; bfloat16 on a CUDA device]",
)
@click.option("--threads", default=1, show_default=True, help="of torch, on both sides")
@click.option("--workers", type=int, help="of the DataLoader  [default: 0; 4 on a CUDA device]")
@click.option("--rounds", default=5, show_default=True, help="in which both sides take turns")
@click.option("--steps", type=int, help="of a round  [default: 1; 20 on a CUDA device]")
@click.option(
    "--memory", type=Size(), help="of the CUDA device that a side may take  [default: all]"
)
@click.option("--micro-batch", type=int, help="rows of our forward passes  [default: all]")
@click.option("--fits", is_flag=True, help="only see whether home and home-768 train in 4 GB")
def main(shards: Path | None, fill: float, rounds: int, fits: bool, **options: Any) -> None:  # noqa: ANN401
    """Print tokens a second, peak memory and the wait for data; the last line is JSON."""
    with TemporaryDirectory() as name:
        place = Path(name)
        if fits:
            result = _see_what_fits(place, fill, shards, options)
        else:
            job = _make_job(place, rounds + 1, shards, options)
            _prepare(job, fill)
            check_agreement(job)
            print("the rows of a batch are equal, and so are the losses on them")
            result = _measure(job, rounds)
    print("\n" + json.dumps({"benchmark": "train"} | result))


def _make_job(place: Path, rounds: int, shards: Path | None, options: dict[str, Any]) -> Job:
    """Return the job with what was left out filled in; `shards` None = to be made."""
    on_cpu = options["device"] == "cpu"
    preset = cast(PairName, options["preset"])
    defaults = {
        "rows": 32 if on_cpu else PAIRS[preset].batch_size,
        "precision": "float32" if on_cpu else "bfloat16",
        "workers": 0 if on_cpu else 4,
        "steps": 1 if on_cpu else 20,
    }
    chosen = defaults | {name: value for name, value in options.items() if value is not None}
    steps = rounds * chosen.pop("steps")
    return Job(shards=shards or place / "shards", dataset=place / "dataset", steps=steps, **chosen)


def _prepare(job: Job, fill: float) -> None:
    """Make rows where there are none, and the same rows as `datasets` has them."""
    if not job.shards.exists():
        write_rows(job.shards, SIZE, job.length, fill)
    shards = job.open()
    peer.write_dataset(shards, job.dataset)
    print(
        f"{job.preset}: {job.rows} of {len(shards):,} rows of {job.length} places a step, "
        f"{job.precision} on {job.device}, {job.threads} threads; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


class Round(NamedTuple):
    """What both sides took for the same rows."""

    ours: Steps
    theirs: Steps
    matmul_rate: float


def _measure(job: Job, rounds: int) -> dict[str, Any]:
    """Let both sides train in turn, print their rates, and end them."""
    count = job.steps // (rounds + 1)
    with Side(SIDES["hearth"], job) as ours, Side(SIDES["transformers"], job) as theirs:
        found = [
            Round(ours.train(count), theirs.train(count), ours.multiply())
            for _ in range(rounds + 1)
        ][1:]  # the first makes memory, and fills queues
        peaks = {"hearth": ours.peak(), "transformers": theirs.peak()}
    figures = _figures(job, found, count)
    result = figures | {
        "memory_ratio": round(peaks["hearth"] / peaks["transformers"], 3),
        "peak_mb": {name: round(peak / 1e6) for name, peak in peaks.items()},
    }
    _print_table(result)
    options = ("preset", "rows", "micro_batch", "length", "precision", "device", "threads")
    return result | {name: getattr(job, name) for name in (*options, "workers", "memory")}


def _figures(job: Job, found: list[Round], count: int) -> dict[str, Any]:
    """Return rates and ratios of the rounds after the first, of `count` steps each."""
    shards = job.open()
    networks = job.networks(shards.header)
    sizes = [
        [size_of(job, shards, number * count + step) for step in range(count)]
        for number in range(1, len(found) + 1)
    ]
    tokens = [sum(size.tokens for size in steps) for steps in sizes]
    flops = [sum(step_flops(networks, size) for size in steps) for steps in sizes]
    places = len(found) * count * job.rows * job.length
    sides = {"hearth": [one.ours for one in found], "transformers": [one.theirs for one in found]}
    rates = {
        name: median(some / one.seconds for some, one in zip(tokens, steps, strict=True))
        for name, steps in sides.items()
    }
    shares = [
        some / one.ours.seconds / one.matmul_rate for some, one in zip(flops, found, strict=True)
    ]
    return {
        "ratio": round(median(one.theirs.seconds / one.ours.seconds for one in found), 3),
        "ratio_of_processor_time": round(
            median(one.theirs.processor_seconds / one.ours.processor_seconds for one in found), 3
        ),
        "tokens_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "data_wait": _share_waited(sides["hearth"]),
        "data_wait_transformers": _share_waited(sides["transformers"]),
        "fill": round(sum(tokens) / places, 3),
        "mfu": round(median(shares), 3),
        "matmul_tflops": round(median(one.matmul_rate for one in found) / 1e12, 3),
    }


def _share_waited(steps: list[Steps]) -> float:
    """Return which part of the time went by waiting for data, over all rounds."""
    return round(sum(one.waited for one in steps) / sum(one.seconds for one in steps), 5)


def _print_table(result: dict[str, Any]) -> None:
    lines = [("side", "tokens/s", "peak, MB", "data wait")]
    waits = {"hearth": result["data_wait"], "transformers": result["data_wait_transformers"]}
    for name, rate in result["tokens_per_second"].items():
        peak = f"{result['peak_mb'][name]:,}"
        lines.append((name, f"{rate:,.0f}", peak, f"{waits[name]:.2%}"))
    print("\n".join(align(lines)))


def _see_what_fits(
    place: Path, fill: float, shards: Path | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Train some steps of each of FITS in little memory, ours and theirs."""
    memory = options["memory"] or FITS_MEMORY
    result: dict[str, Any] = {"memory_mb": memory // 10**6, "device": options["device"]}
    for preset, (rows, length) in FITS.items():
        own = {"preset": preset, "rows": options["rows"] or rows, "length": length}
        own |= {"memory": memory, "steps": 1, "workers": 0}
        job = _make_job(place / preset, 2 * FITS_STEPS, shards, options | own)
        _prepare(job, fill)
        result[preset] = {name: _try(name, job) for name in SIDES}
    return result


def _try(name: str, job: Job) -> dict[str, Any]:
    """Train as many steps again as were done before the clock started."""
    with Side(SIDES[name], job) as side:
        try:
            side.train(FITS_STEPS)
            steps, peak = side.train(FITS_STEPS), side.peak()
        except SideError as error:
            print(f"{job.preset}, {name}: {error}", flush=True)
            return {"fits": False}
    shards = job.open()
    sizes = [size_of(job, shards, FITS_STEPS + number) for number in range(FITS_STEPS)]
    rate = sum(size.tokens for size in sizes) / steps.seconds
    print(f"{job.preset}, {name}: {rate:,.0f} tokens/s, {peak / 1e6:,.0f} MB", flush=True)
    fits = job.memory is None or peak <= job.memory
    return {"fits": fits, "peak_mb": round(peak / 1e6), "tokens_per_second": round(rate, 1)}
