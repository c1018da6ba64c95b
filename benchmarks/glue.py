"""Fine-tuning and predicting: `glue` against `Trainer` of `transformers`, same task, same model.

Weights, head, rows, epochs, batch size, rates, decay, clipping and threads are the same on both
sides; a tenth of everything is dropped out, and all is in float32. Before anything is measured, the
logits and the loss of a batch are compared, and the logits after some updates, nothing dropped out.

Each side is a process of its own, and they take turns. A time is that of the whole training, from
tokens to the last update, or of predicting all rows of dev; making tokens is in neither, for people
make them once. Ratios are medians over rounds, by the clock; those of processor time count the
processor's seconds, in which other work on the machine counts less.

Theirs pads a batch to its longest row (`benchmarks.tuning.peer`). What Trainer does with
`group_by_length`, and with all rows padded to 128 as its script `run_glue.py` has them, is seen
once on fewer rows and counts for nothing in `ratio`.

The rows are those of GLUE where HEARTH_DATA names a folder of downloads, else made ones.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click

from benchmarks.tuning import hearth, peer
from benchmarks.tuning.agreement import check_agreement
from benchmarks.tuning.job import Job, Tuned, first_rows
from benchmarks.tuning.rows import make_job
from model.presets import PAIRS
from pipeline.tables import align

WAYS: dict[str, dict[str, Any]] = {
    "group_by_length": {"sampling": "group_by_length"},
    "max_length 128": {"padding": "max_length"},
}
"""Other ways of Trainer's."""
WAY_ROWS = 96
AGREEING = [name for name in PAIRS if name != "tiny"]
"""`tiny` has embeddings as wide as its states, and no matrix between them. The ALBERT of
`transformers` has one, the identity at first, and trains it: they part after one update."""


@click.command()
@click.option("--preset", type=click.Choice(AGREEING), default="electra-small", show_default=True)
@click.option(
    "--task",
    "tasks",
    type=click.Choice(["sst2", "cola", "qnli", "mrpc", "qqp", "rte"]),
    multiple=True,
    default=["sst2", "mrpc"],
    show_default=True,
)
@click.option("--rows", default=256, show_default=True, help="to train on, and at most to predict")
@click.option("--epochs", default=1, show_default=True)
@click.option("--threads", default=1, show_default=True, help="of torch, on both sides")
@click.option("--rounds", default=3, show_default=True, help="in which both sides take turns")
def main(tasks: tuple[str, ...], rounds: int, **options: Any) -> None:  # noqa: ANN401
    """Print rows a second of fine-tuning and predicting; the last line is JSON."""
    found: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as name, _process() as ours, _process() as theirs:
        for task in tasks:
            job = make_job(Path(name) / task, task, **options)
            check_agreement(job)
            print(
                f"\n{task}: {len(job.train)} rows to train on, {len(job.dev)} to predict; logits "
                f"and losses are equal; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            found[task] = _measure(job, rounds, ours, theirs)
            _print_table(found[task])
    ratios = {
        name: round(min(one[name] for one in found.values()), 3)
        for name in ("ratio", "predict_ratio")
    }
    result = {"benchmark": "glue"} | ratios | {"tasks": found} | options
    print("\n" + json.dumps(result | {"real_rows": "HEARTH_DATA" in os.environ}))


def _process() -> ProcessPoolExecutor:
    """Return one process that keeps what it imported."""
    return ProcessPoolExecutor(1, get_context("spawn"))


class Round(NamedTuple):
    """What both sides took for the same rows."""

    ours: Tuned
    theirs: Tuned


def _measure(
    job: Job, rounds: int, ours: ProcessPoolExecutor, theirs: ProcessPoolExecutor
) -> dict[str, Any]:
    """Let both sides train and predict in turn, after a few rows for the imports."""
    few = replace(job, train=first_rows(job.train, 64), dev=first_rows(job.dev, 64))
    for side, process in ((hearth, ours), (peer, theirs)):
        process.submit(side.tune, few).result()
    found = [
        Round(ours.submit(hearth.tune, job).result(), theirs.submit(peer.tune, job).result())
        for _ in range(rounds)
    ]
    part = replace(job, train=first_rows(job.train, WAY_ROWS), dev=first_rows(job.dev, WAY_ROWS))
    ways = {way: theirs.submit(peer.tune, part, **named).result() for way, named in WAYS.items()}
    return _figures(job, found) | {"ways": {way: _rates(part, [one]) for way, one in ways.items()}}


def _figures(job: Job, found: list[Round]) -> dict[str, Any]:
    """Return the rates of both sides and their ratios."""

    def ratio(field: str) -> float:
        ratios: list[float] = [getattr(b, field) / getattr(a, field) for a, b in found]
        return round(median(ratios), 3)

    return {
        "ratio": ratio("seconds"),
        "ratio_of_processor_time": ratio("processor_seconds"),
        "predict_ratio": ratio("predict_seconds"),
        "predict_ratio_of_processor_time": ratio("predict_processor_seconds"),
        "hearth": _rates(job, [one.ours for one in found]),
        "transformers": _rates(job, [one.theirs for one in found]),
    }


def _rates(job: Job, times: list[Tuned]) -> dict[str, float]:
    """Return the rows a second."""
    trained, told = job.epochs * len(job.train), len(job.dev)
    return {
        "train": round(median(trained / one.seconds for one in times), 1),
        "predict": round(median(told / one.predict_seconds for one in times), 1),
    }


def _print_table(figures: dict[str, Any]) -> None:
    lines = [("side", "trained, rows/s", "predicted, rows/s")]
    sides = {"hearth": figures["hearth"], "Trainer": figures["transformers"]}
    sides |= {f"Trainer, {way}": one for way, one in figures["ways"].items()}
    lines += [
        (name, f"{one['train']:,.0f}", f"{one['predict']:,.0f}") for name, one in sides.items()
    ]
    lines += [("ratio", f"{figures['ratio']:.2f}", f"{figures['predict_ratio']:.2f}")]
    print("\n".join(align(lines)), flush=True)
