"""A run's curves as a PNG and its last numbers as a short table."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from shards.errors import DataError
from train.metrics import read_metrics
from train.runs import load_run

PANELS = {
    "masked_language_model_loss": "masked tokens, loss in nats",
    "causal_language_model_loss": "next token, loss in nats",
    "hidden_token_loss": "tokens hidden by [MASK], loss in nats",
    "replaced_token_loss": "replaced tokens, cross-entropy",
    "replaced_token_auc": "replaced tokens, area under the ROC curve",
    "span_boundary_loss": "masked tokens from the ends of their span, loss in nats",
    "sentence_order_accuracy": "sentence order, accuracy",
    "tokens_per_second": "tokens per second",
}
"""What is drawn, where the metrics have it; some of it is only known of held-out rows."""
SMOOTHING_STEPS = 50
"""The dark line averages over so many steps."""


def report(folder: Path) -> tuple[Path, str]:
    """Draw the curves of a run and return the picture's path and the table.

    Raises:
        DataError: There is no run or no step yet, or matplotlib is not installed.
    """
    run = load_run(folder)
    curves = _read(run.metrics)
    if not curves.steps:
        remedy = f"train it with `python cli.py pretrain --resume --out {folder}`"
        raise DataError(f"{run.metrics} has no step yet", remedy)
    picture = folder / "curves.png"
    _draw(curves, picture, folder.name)
    of = (
        f" of {run.config.steps}" if run.config.hours is None else f" in {run.config.hours:g} hours"
    )
    return picture, _table(curves, of)


@dataclass
class Curves:
    """What the report needs of the metrics: the panels' columns, and the last lines whole."""

    steps: list[int] = field(default_factory=list)
    columns: dict[str, list[float]] = field(default_factory=dict)
    scored: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SMOOTHING_STEPS))


def _read(path: Path) -> Curves:
    curves = Curves()
    for line in read_metrics(path):
        if line["loss"] is None:  # skipped by the loss scaler
            continue
        curves.steps.append(line["step"])
        for name in PANELS.keys() & line.keys():
            curves.columns.setdefault(name, []).append(line[name])
        if "validation" in line:
            scores = {name: one for name, one in line["validation"].items() if one is not None}
            curves.scored.append((line["step"], scores))
        curves.recent.append(line)
    return curves


def _draw(curves: Curves, picture: Path, title: str) -> None:
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise DataError("matplotlib is not installed", "pip install -e '.[watch]'") from error
    mpl.use("agg")
    from matplotlib import pyplot

    held_out = {name for _, scores in curves.scored for name in scores}
    names = [name for name in PANELS if name in curves.columns.keys() | held_out]
    rows = -(-len(names) // 2)
    figure, axes = pyplot.subplots(rows, 2, figsize=(11, 3.2 * rows), layout="constrained")
    figure.suptitle(title)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        if values := curves.columns.get(name):
            axis.plot(curves.steps, values, color="tab:blue", alpha=0.25, linewidth=0.8)
            axis.plot(curves.steps, _smooth(values), color="tab:blue", label="training")
        points = [(step, scores[name]) for step, scores in curves.scored if name in scores]
        if points:
            axis.plot(*zip(*points, strict=True), "o-", color="tab:orange", label="held out")
            axis.legend()
        axis.set(title=PANELS[name], xlabel="step")
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)


def _smooth(values: list[float]) -> list[float]:
    """Return the mean of each value and up to SMOOTHING_STEPS - 1 before it."""
    smooth, total = [], 0.0
    for index, value in enumerate(values):
        total += value
        if index >= SMOOTHING_STEPS:
            total -= values[index - SMOOTHING_STEPS]
        smooth.append(total / min(index + 1, SMOOTHING_STEPS))
    return smooth


def _table(curves: Curves, of: str) -> str:
    """Return the run's last numbers: training over SMOOTHING_STEPS, held out at the last time."""
    last = curves.recent[-1]
    validation = curves.scored[-1][1] if curves.scored else {}

    def mean(name: str) -> float:
        return fmean(line[name] for line in curves.recent)

    speed, wait = mean("tokens_per_second"), mean("data_wait")
    rows = [
        f"step {last['step']}{of}, {last['seconds'] / 60:.1f} minutes of training",
        f"{speed:,.0f} tokens per second, {100 * wait:.1f} % of the time waiting for data",
        f"{'':34}{'training':>10}{'held out':>10}",
    ]
    for name in (key for key in last if key.endswith(("_loss", "_accuracy"))):
        held_out = f"{validation[name]:10.4f}" if name in validation else f"{'-':>10}"
        rows.append(f"{name.replace('_', ' '):34}{mean(name):10.4f}{held_out}")
    return "\n".join(rows)
