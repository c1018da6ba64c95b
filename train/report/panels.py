"""Which charts a report has, and the lines of guessing in them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from train.report.chart import Chart, Trace
from train.report.curves import Curve, smooth
from train.report.runs import ReportedRun

Guess = Callable[[ReportedRun], tuple[Sequence[float], Sequence[float]]]
"""Returns steps, and what guessing would give from each of them on."""


def _by_frequency(what: str) -> Guess:
    def guess(run: ReportedRun) -> tuple[Sequence[float], Sequence[float]]:
        known = [(step, run.guessing[n]) for step, n in run.curves.lengths if n in run.guessing]
        return [step for step, _ in known], [getattr(one, what) for _, one in known]

    return guess


def _constant(value: float) -> Guess:
    return lambda run: ([1], [value])


def _found(name: str, *, is_complement: bool = False) -> Guess:
    """Return what evaluations say themselves of knowing nothing."""

    def guess(run: ReportedRun) -> tuple[Sequence[float], Sequence[float]]:
        steps, values = run.curves.points(name)
        return steps, [1 - value if is_complement else value for value in values]

    return guess


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        column: Of the metrics.
        title: Above it.
        guess: What guessing gives, if that has a meaning.
        guessing: What kind of guessing it is.
        scale: What values are multiplied with.
        is_exact: Whether there is nothing to be smoothed.
        is_highest: Whether what counts is the highest value so far.
    """

    column: str
    title: str
    guess: Guess | None = None
    guessing: str = ""
    is_log: bool = False
    percent: bool = False
    scale: float = 1.0
    is_exact: bool = False
    is_highest: bool = False


def _loss(name: str, title: str, guess: Guess | None, guessing: str) -> Panel:
    return Panel(f"{name}_loss", f"{title}: loss in nats", guess, guessing)


def _accuracy(name: str, title: str, guess: Guess | None, guessing: str) -> Panel:
    return Panel(f"{name}_accuracy", f"{title}: accuracy", guess, guessing, percent=True)


def _tokens(name: str, title: str) -> tuple[Panel, Panel]:
    return (
        _loss(name, title, _by_frequency("loss"), "guessing by frequency"),
        _accuracy(name, title, _by_frequency("accuracy"), "the most frequent token"),
    )


def _order(name: str, title: str) -> tuple[Panel, Panel]:
    chance = _constant(math.log(2)), _constant(0.5)
    return _loss(name, title, chance[0], "chance"), _accuracy(name, title, chance[1], "chance")


BASE_RATE = "always answering the base rate"
ORIGINAL = _found("replaced_share", is_complement=True)
MASKED_LOSS, MASKED_ACCURACY = _tokens("masked_language_model", "masked tokens")
LEARNING = (
    Panel(
        "hidden_token_loss",
        "tokens hidden by [MASK]: loss in nats",
        _by_frequency("loss"),
        "guessing by frequency",
    ),
    MASKED_LOSS,
    MASKED_ACCURACY,
    *_tokens("causal_language_model", "next token"),
    Panel("word_perplexity", "perplexity of a word", is_log=True),
    *_tokens("span_boundary", "masked tokens from the ends of their span"),
    _loss("replaced_token", "replaced tokens", _found("replaced_token_entropy"), BASE_RATE),
    _accuracy("replaced_token", "replaced tokens", ORIGINAL, "always answering: original"),
    Panel("replaced_token_auc", "replaced tokens: area under ROC", _constant(0.5), "chance"),
    *_order("sentence_order", "sentence order"),
    *_order("generator_sentence_order", "sentence order, by the generator"),
    Panel("loss", "the sum of all losses, weighted"),
)
MACHINE = (
    Panel("learning_rate", "learning rate", is_exact=True),
    Panel("grad_norm", "norm of the gradient, before clipping", is_log=True),
    Panel("tokens_per_second", "real tokens a second"),
    Panel("data_wait", "waiting for data, of the time", percent=True),
    Panel("flops_utilisation", "operations, of what the device reaches", percent=True),
    Panel("peak_memory", "most memory so far, in GB", scale=1e-9, is_highest=True),
)


def charts(runs: Sequence[ReportedRun], panels: Sequence[Panel]) -> list[Chart]:
    """Return a chart for each panel of which some run has a number."""
    made = [_chart(runs, panel) for panel in panels if _is_wanted(runs, panel)]
    return [chart for chart in made if chart.lines or chart.points]


def _is_wanted(runs: Sequence[ReportedRun], panel: Panel) -> bool:
    """Leave out the sum of losses where it is one loss that has a panel of its own."""
    return panel.column != "loss" or not all(_has_one_loss(run) for run in runs)


def _has_one_loss(run: ReportedRun) -> bool:
    names = [name for name in run.curves.training if name.endswith("_loss")]
    return len(names) == 1 and any(panel.column == names[0] for panel in LEARNING)


def _chart(runs: Sequence[ReportedRun], panel: Panel) -> Chart:
    is_alone = len(runs) == 1
    end = max(run.curves.last_step for run in runs)
    chart = Chart(panel.title, end, is_log=panel.is_log, percent=panel.percent)
    for number, run in enumerate(runs):
        curve = run.curves.training.get(panel.column)
        if curve is not None:
            trace = _line(curve, panel, number, has_spread=is_alone)
            chart.lines.append(trace if is_alone else replace(trace, name=run.name))
        steps, values = run.curves.points(panel.column)
        if steps:
            name = "" if curve is not None else run.name
            scaled = np.array(values) * panel.scale
            chart.points.append(Trace("held out" if is_alone else name, number, steps, scaled))
    chart.guesses.extend(_guesses(runs, panel))
    return chart


def _line(curve: Curve, panel: Panel, number: int, *, has_spread: bool) -> Trace:
    scale = panel.scale
    if panel.is_highest:
        return Trace("training", number, curve.steps, scale * np.maximum.accumulate(curve.highs))
    if panel.is_exact:
        return Trace("training", number, curve.steps, scale * curve.means)
    low, high = (scale * curve.lows, scale * curve.highs) if has_spread else ((), ())
    return Trace("training, smoothed", number, curve.steps, scale * smooth(curve), low, high)


def _guesses(runs: Sequence[ReportedRun], panel: Panel) -> list[Trace]:
    """Return a line of guessing for each run that has the chart's number, or one for all alike."""
    if panel.guess is None:
        return []
    found = []
    for number, run in enumerate(runs):
        if panel.column in run.curves.training or run.curves.points(panel.column)[0]:
            steps, values = panel.guess(run)
            if steps:
                found.append(Trace(panel.guessing, number, steps, values))
    if len({(tuple(one.x), tuple(one.y)) for one in found}) == 1:
        first = found[0]
        return [Trace(first.name, -1, first.x, first.y)]
    return [
        Trace(one.name if place == 0 else "", one.colour, one.x, one.y)
        for place, one in enumerate(found)
    ]
