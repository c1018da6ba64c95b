"""What a person can choose in `glue`."""

import pytest

from train.glue_config import GlueConfig


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 0},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"warmup_fraction": 1.5},
        {"max_length": 4},
    ],
)
def test_a_bad_option_is_named(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} "):
        GlueConfig(**change)


def test_epochs_follow_the_task_unless_chosen():
    assert [GlueConfig().epochs_of(task) for task in ("cola", "rte", "stsb")] == [3, 10, 10]
    assert GlueConfig(epochs=2).epochs_of("rte") == 2
