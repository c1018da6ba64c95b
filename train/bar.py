"""How far a run is: the progress bar, and a line for the log at each evaluation."""

from typing import Any

from tqdm import tqdm

from train.checkpoint import State
from train.config import PretrainConfig
from train.metrics import Line


def make_bar(config: PretrainConfig, state: State, *, is_quiet: bool) -> Any:  # noqa: ANN401
    """Return a progress bar over the steps, or over the seconds, and the time left."""
    seconds, steps = config.seconds, config.steps
    by_clock = {"bar_format": "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"} if seconds else {}
    return tqdm(
        total=steps if seconds is None else round(seconds),
        initial=state.step if seconds is None else int(state.seconds),
        desc="pretrain",
        unit="step",
        disable=True if is_quiet else None,
        **by_clock,
    )


def show(bar: Any, config: PretrainConfig, state: State, line: Line) -> None:  # noqa: ANN401
    """Show how far the run is, and its last numbers."""
    rate = f"{line['tokens_per_second']:,.0f} tokens/s"
    loss = "-" if line["loss"] is None else f"{line['loss']:.3f}"
    bar.set_postfix_str(f"loss {loss}, {rate}", refresh=False)
    done = state.step if config.seconds is None else int(state.seconds)
    bar.update(min(done, bar.total) - bar.n)


def news(config: PretrainConfig, state: State, line: Line) -> str:
    """Return how far the run is, in a line: losses, in training and held out, and the time left."""
    if config.seconds is None:
        where, share = f"step {state.step:,} of {config.steps:,}", state.step / config.steps
    else:
        where = f"step {state.step:,}, {state.seconds / 3600:.2f} of {config.hours:g} hours"
        share = state.seconds / config.seconds
    held_out = line["validation"]
    losses = [
        f"{name.removesuffix('_loss').replace('_', ' ')} {_number(line[name])}, "
        f"held out {_number(held_out.get(name))}"
        for name in line
        if name.endswith("_loss")
    ]
    left = state.seconds * max(0, 1 - share) / share
    ends = f"; {in_time(left)} left" if left >= 1 else ""
    return f"{where}: {'; '.join(losses)}; {line['tokens_per_second']:,.0f} tokens/s{ends}"


def in_time(seconds: float) -> str:
    """Return seconds in the unit that suits them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
