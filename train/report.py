"""A run's curves as a PNG and its last numbers as a short table."""

from pathlib import Path
from typing import Any

from shards.errors import DataError
from train.metrics import read_metrics
from train.runs import load_run

PANELS = {
    "generator: masked tokens, loss in nats": "masked_language_model_loss",
    "discriminator: replaced tokens, cross-entropy": "replaced_token_loss",
    "discriminator: sentence order, accuracy": "sentence_order_accuracy",
    "tokens per second": "tokens_per_second",
}
SMOOTHING_STEPS = 50
"""The dark line averages over so many steps."""


def report(folder: Path) -> tuple[Path, str]:
    """Draw the curves of a run and return the picture's path and the table.

    Raises:
        DataError: There is no run or no step yet, or matplotlib is not installed.
    """
    run = load_run(folder)
    lines = read_metrics(run.metrics)
    if not lines:
        remedy = f"train it with `python cli.py pretrain --resume --out {folder}`"
        raise DataError(f"{run.metrics} has no step yet", remedy)
    picture = folder / "curves.png"
    _draw(lines, picture, folder.name)
    return picture, _table(lines, run.config.steps)


def _draw(lines: list[dict[str, Any]], picture: Path, title: str) -> None:
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise DataError("matplotlib is not installed", "pip install -e '.[watch]'") from error
    mpl.use("agg")
    from matplotlib import pyplot

    steps = [line["step"] for line in lines]
    scored = [line for line in lines if "validation" in line]
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    figure.suptitle(title)
    for axis, (label, name) in zip(axes.flat, PANELS.items(), strict=True):
        values = [line[name] for line in lines]
        axis.plot(steps, values, color="tab:blue", alpha=0.25, linewidth=0.8)
        axis.plot(steps, _smooth(values), color="tab:blue", label="training")
        if scored and name in scored[0]["validation"]:
            points = [line["validation"][name] for line in scored]
            at = [line["step"] for line in scored]
            axis.plot(at, points, "o-", color="tab:orange", label="held out")
            axis.legend()
        axis.set(title=label, xlabel="step")
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


def _table(lines: list[dict[str, Any]], steps: int) -> str:
    """Return the run's last numbers: training over SMOOTHING_STEPS, held out at the last time."""
    recent = lines[-SMOOTHING_STEPS:]
    last = lines[-1]
    scored = [line["validation"] for line in lines if "validation" in line]
    validation: dict[str, float] = scored[-1] if scored else {}
    wait = sum(line["data_wait"] for line in recent) / len(recent)
    speed = sum(line["tokens_per_second"] for line in recent) / len(recent)
    rows = [f"step {last['step']} of {steps}, {last['seconds'] / 60:.1f} minutes of training"]
    rows.append(f"{speed:,.0f} tokens per second, {100 * wait:.1f} % of the time waiting for data")
    rows.append(f"{'':34}{'training':>10}{'held out':>10}")
    for name in (key for key in last if key.endswith(("_loss", "_accuracy"))):
        training = sum(line[name] for line in recent) / len(recent)
        held_out = f"{validation[name]:10.4f}" if name in validation else f"{'-':>10}"
        rows.append(f"{name.replace('_', ' '):34}{training:10.4f}{held_out}")
    return "\n".join(rows)
