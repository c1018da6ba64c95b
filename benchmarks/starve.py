"""Whether the loader keeps a trainer fed: its rate, and the wait at the rate of a trainer.

The loader is all that the trainer does before a step: rows in shuffled order, masks, tensors on the
device. A step is simulated: it takes as long as a trainer of a given rate takes for a batch, and
either sleeps, as a processor does while a GPU computes, or keeps the processor busy. `data_wait` is
the time spent waiting for batches as a share of the whole, from after the first batch on.

Rates are 20,000 rows of 128 a second, what a GPU of the class of an H100 could eat, and that of
this machine, from real steps of a preset; and no step at all, for the loader's own rate. Warm means
that the shards are in memory, cold that the system was made to forget them before the clock
started: no row is read twice. Each measurement has a process of its own; warm and cold take turns,
and figures are medians over rounds.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, cast

import click

from benchmarks.reading.alone import run_alone
from benchmarks.reading.disk import PIECE, evict
from benchmarks.training import hearth
from benchmarks.training.feeding import Fed, Meal, feed
from benchmarks.training.job import Job
from benchmarks.training.rows import write_rows
from benchmarks.training.side import Side
from model.presets import PAIRS, PairName
from pipeline.flags import Size
from pipeline.tables import align

LENGTH = 128
FILL = 0.78
"""Share of places that hold tokens: about what `pack` fills of rows of 128."""
GPU_RATE = 20_000.0
REAL_STEPS = 3


@click.command()
@click.option("--size", type=Size(), default="2GB", show_default=True, help="of the rows written")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    help="on the disk to measure; the size for a while",
)
@click.option("--rows", default=128, show_default=True, help="of a batch")
@click.option("--rate", default=GPU_RATE, show_default=True, help="rows a second that a GPU eats")
@click.option(
    "--preset",
    type=click.Choice(list(PAIRS)),
    default="tiny",
    show_default=True,
    help="whose training gives this machine's own rate; smaller ones eat faster",
)
@click.option("--busy", is_flag=True, help="steps keep the processor busy  [default: they sleep]")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", default=1, show_default=True, help="of torch")
@click.option("--seconds", default=10.0, show_default=True, help="of each measurement, at most")
@click.option("--rounds", default=3, show_default=True, help="of measurements, warm and cold")
def main(size: int, folder: Path, rate: float, preset: str, rounds: int, **options: Any) -> None:  # noqa: ANN401
    """Print how a trainer is fed, warm and cold; the last line is JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as name:
        shards = Path(name)
        paths = write_rows(shards, size, LENGTH, FILL)
        written = sum(path.stat().st_size for path in paths)
        print(f"{written / 1e9:.2f} GB of rows in {len(paths)} shards; load {_load()}", flush=True)
        own, own_wait = _train(shards, preset, options)
        print(f"{preset} trains on {own:,.0f} rows/s and waits {own_wait:.3%} for data", flush=True)
        meals = {
            name: Meal(rate=eaten, **options)
            for name, eaten in (("loader", None), ("gpu", rate), ("own", own))
        }
        found = {name: _eat(shards, paths, meal, rounds) for name, meal in meals.items()}
    _print_table(found)
    print(f"load {_load()}")
    result = {
        "benchmark": "starve",
        "gb": round(written / 1e9, 2),
        "preset": preset,
        **{name: options[name] for name in ("rows", "busy", "device", "threads")},
        "own_rows_per_s": round(own, 1),
        "own_trainer_data_wait": round(own_wait, 6),
        **_figures(found),
    }
    print("\n" + json.dumps(result))


Temperature = dict[str, list[Fed]]
"""Of one rate: what was found "warm" and "cold", a value for each round."""


def _train(shards: Path, preset: str, options: dict[str, Any]) -> tuple[float, float]:
    """Return rows a second of real training on this device, and the share that it waits."""
    job = Job(
        shards=shards,
        dataset=shards,  # of no use to our side
        preset=cast(PairName, preset),
        length=LENGTH,
        rows=options["rows"],
        steps=2 * REAL_STEPS,
        precision="float32" if options["device"] == "cpu" else "bfloat16",
        device=options["device"],
        threads=options["threads"],
    )
    with Side(hearth.__name__, job) as side:
        side.train(REAL_STEPS)  # makes memory
        steps = side.train(REAL_STEPS)
    return REAL_STEPS * job.rows / steps.seconds, steps.waited / steps.seconds


def _eat(shards: Path, paths: Sequence[Path], meal: Meal, rounds: int) -> Temperature:
    """Measure one rate cold and warm in turn."""
    found: Temperature = {"warm": [], "cold": []}
    for _ in range(rounds):
        evict(paths)
        found["cold"].append(run_alone(feed, shards, meal))
        _read_all(paths)
        found["warm"].append(run_alone(feed, shards, meal))
    return found


def _read_all(paths: Sequence[Path]) -> None:
    """Bring files into memory."""
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(PIECE):
                pass


def _print_table(found: dict[str, Temperature]) -> None:
    lines: list[tuple[str, ...]] = [
        ("eaten by", "shards", "rows/s", "data wait", "a batch, ms", "longest", "first")
    ]
    for name, temperatures in found.items():
        for temperature, meals in temperatures.items():
            cells = [
                f"{_median(meals, 'rows_per_s'):,.0f}",
                f"{_median(meals, 'data_wait'):.3%}",
                *(f"{_median(meals, f'{what}_ms'):.2f}" for what in ("batch", "longest", "first")),
            ]
            lines.append((name, temperature, *cells))
    print("\n".join(align(lines)))


def _figures(found: dict[str, Temperature]) -> dict[str, float]:
    """Return the loader's own rates, the waits at each rate, and the largest memory."""
    figures: dict[str, float] = {}
    for temperature, prefix in (("warm", ""), ("cold", "cold_")):
        rate = _median(found["loader"][temperature], "rows_per_s")
        figures[f"{prefix}rows_per_s"] = round(rate)
        for eater, name in (("gpu", "data_wait"), ("own", "own_data_wait")):
            meals = found[eater][temperature]
            figures[prefix + name] = round(_median(meals, "data_wait"), 6)
        reached = _median(found["gpu"][temperature], "rows_per_s")
        figures[f"{prefix}reached_rows_per_s"] = round(reached)
    everything = [fed for one in found.values() for meals in one.values() for fed in meals]
    return figures | {"anonymous_mb": round(max(fed.anonymous_mb for fed in everything))}


def _median(meals: list[Fed], name: str) -> float:
    return float(median(getattr(meal, name) for meal in meals))


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
