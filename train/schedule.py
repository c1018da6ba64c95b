"""The learning rate of each step."""


def learning_rate(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Return the learning rate of `step` (from 0): linear up to `peak`, then linear to 0.

    The last step is the last with a rate above 0: the schedule ends when the run ends.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * (steps - step) / (steps - warmup_steps)
