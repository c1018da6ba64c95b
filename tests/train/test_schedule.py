import pytest
import torch

from train.config import pretrain_config
from train.schedule import learning_rate, progress, step_rate


def published(name, warmup, steps):
    """Return the factors of `transformers` at 0 and after each step, the last after all."""
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = get_scheduler(name, optimizer, warmup, steps)
    rates = []
    for _ in range(steps + 1):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_rate_rises_to_its_peak_and_ends_with_the_run():
    rates = [learning_rate(step, total=10, warmup=2, peak=1.0) for step in range(10)]
    assert rates == [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]


def test_a_run_without_warm_up_starts_at_its_peak():
    assert learning_rate(0, total=4, warmup=0, peak=3.0) == 3.0
    assert learning_rate(0, total=4, warmup=0, peak=3.0, schedule="cosine") == 3.0


@pytest.mark.parametrize(
    ("schedule", "name"),
    [("linear", "linear"), ("cosine", "cosine"), ("constant", "constant_with_warmup")],
)
@pytest.mark.parametrize(("warmup", "steps"), [(0, 7), (1, 7), (30, 100), (7, 7)])
def test_rates_are_those_of_transformers_but_for_its_lost_first_step(schedule, name, warmup, steps):
    rates = [learning_rate(step, steps, warmup, 1.0, schedule) for step in range(steps)]
    theirs = published(name, warmup, steps)
    # In warm-up ours is what theirs is one step later.
    expected = theirs[1 : warmup + 1] + theirs[warmup:steps]
    if warmup == steps:
        expected[-1] = 1.0  # there the fall begins before the peak is used
    assert rates == pytest.approx(expected, abs=1e-12)
    assert all(rates)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_last_step_is_the_last_with_a_rate(schedule):
    last = learning_rate(999_999, 1_000_000, 10_000, 5e-4, schedule)
    assert 0 < last < 1e-9
    assert learning_rate(1_000_000, 1_000_000, 10_000, 5e-4, schedule) == 0


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_steps_of_a_configuration(schedule):
    config = pretrain_config(
        "tiny", steps=10, warmup=0.2, learning_rate=0.5, precision="float32", schedule=schedule
    )
    rates = [step_rate(config, step, 99.0) for step in range(10)]
    assert rates == [learning_rate(step, 10, 2, 0.5, schedule) for step in range(10)]
    assert [progress(config, step, 99.0) for step in (0, 5, 10)] == [0, 0.5, 1]


def test_hours_of_a_configuration():
    config = pretrain_config("tiny", hours=1.0, warmup=0.1, learning_rate=1.0)
    assert progress(config, 10**9, 1800.0) == 0.5
    assert progress(config, 1, 3600.0) == 1
    # Warm-up: 36 steps in 180 of 360 seconds, and the step itself takes 5.
    assert step_rate(config, 36, 180.0) == pytest.approx(185 / 360)
    assert step_rate(config, 1, 359.0) == 1
    assert step_rate(config, 99, 360.0) == 1
    assert step_rate(config, 99, 1980.0) == pytest.approx(0.5)
    assert 0 < step_rate(config, 99, 3599.9) < 1e-4
