"""What a person can choose in `glue`."""

import pytest

from train.glue.config import GlueConfig, GlueExecution


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 0},
        {"epochs": 0},
        {"batch_size": 0},
        {"max_train_rows": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"max_length": 4},
        {"recipe": "albert"},
        {"baseline": "zero"},
        {"from_task": "qqp"},
        {"keep": "all"},
    ],
)
def test_a_bad_option_is_named(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} "):
        GlueConfig(**change)


@pytest.mark.parametrize("name", ["memory", "micro_batch"])
def test_a_bad_way_to_compute_is_named(name):
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} 0 is not at least 1"):
        GlueExecution(**{name: 0})
