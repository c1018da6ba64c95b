import pytest

from train.loop import step_seed
from train.schedule import learning_rate


def test_the_rate_rises_to_its_peak_and_ends_with_the_run():
    rates = [learning_rate(step, steps=10, warmup_steps=2, peak=1.0) for step in range(10)]
    assert rates == [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]


def test_a_run_without_warm_up_starts_at_its_peak():
    assert learning_rate(0, steps=4, warmup_steps=0, peak=3.0) == 3.0


@pytest.mark.parametrize("seed", [0, 7])
def test_every_step_has_a_seed_of_its_own(seed):
    seeds = {step_seed(seed, step) for step in range(1000)}
    assert len(seeds) == 1000
    assert step_seed(seed, 3) in seeds
