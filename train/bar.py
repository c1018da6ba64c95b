"""The progress bar of a run."""

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
