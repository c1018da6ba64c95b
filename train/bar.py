"""How far a run is: the progress bar, and lines for the log: at each evaluation, and how long."""

from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from pipeline.tables import in_time
from train.checkpoint import State
from train.config import PretrainConfig
from train.metrics import Line
from train.step import Say

FORECAST_SECONDS = 60
"""After so long it is told how long a run will take."""
BAR_COLUMNS = 70
"""What a terminal needs for the rest of the bar."""


class Progress:
    """A bar over the steps, or over the seconds; where none is shown, a forecast, once.

    Args:
        config: Of the run.
        state: How far the run is now.
        say: Called with the forecast.
        is_quiet: Show no bar.
    """

    def __init__(self, config: PretrainConfig, state: State, say: Say, *, is_quiet: bool) -> None:
        seconds, steps = config.seconds, config.steps
        clock = {"bar_format": "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"} if seconds else {}
        self._config, self._say = config, say
        self._start: State | None = None
        self._is_told = seconds is not None
        self._bar: Any = tqdm(
            total=steps if seconds is None else round(seconds),
            initial=state.step if seconds is None else int(state.seconds),
            desc="pretrain",
            unit="step",
            disable=True if is_quiet else None,
            **clock,
        )

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def show(self, state: State, line: Line) -> None:
        """Show how far the run is, and its last numbers."""
        bar = self._bar
        if bar.disable:
            self._forecast(state)
            return
        bar.set_postfix_str(numbers(line, bar.ncols), refresh=False)
        done = state.step if self._config.seconds is None else int(state.seconds)
        bar.update(min(done, bar.total) - bar.n)

    def _forecast(self, state: State) -> None:
        """Tell once how long the rest will take, if its end is far and known by steps."""
        start = self._start = self._start or state  # not at once: first updates may compile
        if self._is_told or state.seconds - start.seconds < FORECAST_SECONDS:
            return
        self._is_told = True
        if text := forecast(self._config, start, state):
            self._say(text)


def forecast(config: PretrainConfig, start: State, state: State) -> str:
    """Return how long the rest of a run takes, by what was done since `start`; "" if not long."""
    seconds = state.seconds - start.seconds
    left = (config.steps - state.step) * seconds / (state.step - start.step)
    if left < FORECAST_SECONDS:
        return ""
    speed = (state.tokens - start.tokens) / seconds
    rest = f"the other {config.steps - state.step:,} updates take about {in_time(left)}"
    return f"at {speed:,.0f} tokens/s {rest}"


def numbers(line: Line, columns: int | None) -> str:
    """Return the last numbers for a bar in so many columns: all losses, or else their sum."""
    rate = f"{line['tokens_per_second']:,.0f} tokens/s"
    parts = [f"{short} {_number(line[name])}" for name, short in _losses(line)]
    every = ", ".join([*parts, rate])
    if columns is not None and len(every) <= columns - BAR_COLUMNS:
        return every
    return f"loss {_number(line['loss'])}, {rate}"


def news(config: PretrainConfig, start: State, state: State, line: Line) -> str:
    """Return how far the run is, in a line: losses, in training and held out, and the time left.

    That goes by what was done since `start`: before a resume the machine may have been another.
    """
    if config.seconds is None:
        where = f"step {state.step:,} of {config.steps:,}"
        speed = (state.seconds - start.seconds) / max(1, state.step - start.step)
        left = (config.steps - state.step) * speed
    else:
        where = f"step {state.step:,}, {state.seconds / 3600:.2f} of {config.hours:g} hours"
        left = max(0.0, config.seconds - state.seconds)
    held_out = line["validation"]
    losses = [
        f"{short} {_number(line[name])}, held out {_number(held_out.get(name))}"
        for name, short in _losses(line)
    ]
    ends = f"; {in_time(left)} left" if left >= 1 else ""
    return f"{where}: {'; '.join(losses)}; {line['tokens_per_second']:,.0f} tokens/s{ends}"


def _losses(line: Line) -> list[tuple[str, str]]:
    """Return the names of the losses of objectives, and short ones."""
    names = [name for name in line if name.endswith("_loss")]
    return [(name, name.removesuffix("_loss").replace("_", " ")) for name in names]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
