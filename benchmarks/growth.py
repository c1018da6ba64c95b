"""What a MB of text costs our encoder as the text grows: new words become rarer.

Each tokenizer runs in a process of its own that knows no word at first, on blocks drawn evenly from
all sources. Told are milliseconds a MB of all text up to a size, and of the text since the size
before. The rate of `encode_batch_fast` is the same for any size: see `python -m benchmarks encode`.
"""

import json
from pathlib import Path
from statistics import median

import click

from benchmarks.encoding.kinds import KINDS, tokenizers_of
from benchmarks.encoding.options import text_options
from benchmarks.encoding.text import find_sources
from benchmarks.encoding.worker import Stream, run_alone

ROUNDS = 3
MARKS = (1, 2, 5, 10, 20, 50, 100, 200)
"""MB of text at which the clock is read."""
SHOWN = 10
"""MB of text from which on a mark is in the table; all are in the plot."""

Costs = dict[str, list[float]]
"""Of one tokenizer, for each mark: `mb` of text, `ms_per_mb` up to there, `ms_per_new_mb` since
the mark before."""


@click.command()
@text_options(limit=MARKS[-1])
@click.option("--plot", type=click.Path(path_type=Path), help="draw here  [default: no plot]")
def main(
    text: Path,
    sources: tuple[str, ...],
    kinds: tuple[str, ...],
    limit: int,
    vocab: Path,
    memory: int,
    plot: Path | None,
) -> None:
    """Print milliseconds of encoding a MB of text; the table is Markdown."""
    found = {}
    for kind in kinds or KINDS:
        tokenizers = tokenizers_of(kind, vocab, find_sources(text, sources))
        name, tokenizer = next(iter(tokenizers.items()))
        marks = tuple(mark * 10**6 for mark in MARKS)
        job = Stream(tokenizer.to_str(), text, sources, limit * 10**6, memory, marks)
        rounds = [costs_of(run_alone(job).points) for _ in range(ROUNDS)]
        found[f"{kind}, {name}"] = {
            column: [
                median(values) for values in zip(*(one[column] for one in rounds), strict=True)
            ]
            for column in rounds[0]
        }
    print("\n".join(_table(found)))
    if plot:
        _draw(found, plot)
    print("\n" + json.dumps({"benchmark": "growth", **_rounded(found)}))


def costs_of(points: list[tuple[int, float]]) -> Costs:
    """Return what each MB cost, given bytes and seconds of all text up to each mark."""
    costs: Costs = {"mb": [], "ms_per_mb": [], "ms_per_new_mb": []}
    for (size, seconds), (old_size, old_seconds) in zip(points, [(0, 0.0), *points], strict=False):
        costs["mb"].append(size / 1e6)
        costs["ms_per_mb"].append(1e9 * seconds / size)
        costs["ms_per_new_mb"].append(1e9 * (seconds - old_seconds) / (size - old_size))
    return costs


def _table(found: dict[str, Costs]) -> list[str]:
    """Return lines of Markdown: of each tokenizer what all costs, and what the newest part does."""
    sizes = next(iter(found.values()))["mb"]
    shown = [index for index, size in enumerate(sizes) if size >= SHOWN] or [len(sizes) - 1]
    lines = [
        f"| ms a MB | {' | '.join(f'{sizes[index]:.0f} MB' for index in shown)} |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for name, costs in found.items():
        for column, label in (("ms_per_mb", ""), ("ms_per_new_mb", ": the newest part")):
            cells = " | ".join(f"{costs[column][index]:.1f}" for index in shown)
            lines.append(f"| {name}{label} | {cells} |")
    return lines


def _draw(found: dict[str, Costs], picture: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for number, (name, costs) in enumerate(found.items()):
        axis.plot(costs["mb"], costs["ms_per_mb"], "o-", color=f"C{number}", label=name)
        axis.plot(costs["mb"], costs["ms_per_new_mb"], ":", color=f"C{number}")
    axis.plot([], [], ":", color="gray", label="the newest part alone")
    sizes = next(iter(found.values()))["mb"]
    axis.set_xscale("log")
    axis.set_xticks(sizes, [f"{size:.0f}" for size in sizes], minor=False)
    axis.set_xticks([], minor=True)
    axis.set(xlabel="MB of text", ylabel="ms of one core a MB", ylim=(0, None))
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)


def _rounded(found: dict[str, Costs]) -> dict[str, dict[str, list[float]]]:
    return {
        name: {column: [round(value, 2) for value in values] for column, values in costs.items()}
        for name, costs in found.items()
    }
