"""The learning rate of each step, and how far the run is."""

import math

from train.config import PretrainConfig, ScheduleName


def learning_rate(
    done: float,
    total: float,
    warmup: float,
    peak: float,
    schedule: ScheduleName = "linear",
    step: float = 1,
) -> float:
    """Return the learning rate of a step: up to `peak` in a line, then as `schedule` says.

    Warm-up looks at the end of the step and the rest at its beginning, so that no step is lost:
    the first has a rate above 0 and so has the last, after which the schedule is at 0.
    (`transformers.get_scheduler` looks at the beginning throughout; its first step, at rate 0,
    changes nothing. From the end of warm-up on, both give the same.)

    Args:
        done: What was done before the step, below `total`: steps, or seconds.
        total: The whole run, in the same unit.
        warmup: For how long the rate rises, in the same unit.
        peak: The highest rate.
        schedule: "linear" and "cosine" (half a period; https://arxiv.org/abs/1608.03983, equation
            5, without restarts) fall to 0; "constant" stays at the peak.
        step: What the step itself takes, in the same unit.
    """
    if done < warmup:
        return peak * min(1, (done + step) / warmup)
    if schedule == "constant":
        return peak
    left = (total - done) / (total - warmup)
    if schedule == "cosine":
        return peak * math.sin(math.pi / 2 * left) ** 2
    return peak * left


def progress(config: PretrainConfig, step: int, seconds: float) -> float:
    """Return the share of the run that is over; it ends as soon as this is 1 or more.

    Args:
        config: The run's configuration.
        step: Steps done.
        seconds: How long they took.
    """
    if config.seconds is None:
        return step / config.steps
    return seconds / config.seconds


def step_rate(config: PretrainConfig, step: int, seconds: float) -> float:
    """Return the learning rate of a step.

    Args:
        config: The run's configuration.
        step: Steps done before it.
        seconds: How long they took. Where `hours` say when the run ends, warm-up takes it that the
            step is as long as those before on average; the very first then has rate 0.
    """
    peak, schedule = config.learning_rate, config.schedule
    if config.seconds is None:
        return learning_rate(step, config.steps, config.warmup_steps, peak, schedule)
    mean = seconds / max(step, 1)
    warmup = config.warmup * config.seconds
    return learning_rate(seconds, config.seconds, warmup, peak, schedule, mean)
