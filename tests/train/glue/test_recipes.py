"""The settings of each recipe, task by task."""

import pytest

from pipeline.tasks import SCORED_TASKS, TASKS
from train.glue.config import GlueConfig
from train.glue.recipes import settings_of, steps_of


def epochs(recipe):
    config = GlueConfig(recipe=recipe)
    return {name: settings_of(config, TASKS[name]).epochs for name in SCORED_TASKS}


def test_each_recipe_has_its_own_epochs():
    usual = dict.fromkeys(SCORED_TASKS, 3)
    assert epochs("electra") == usual | {"rte": 10, "stsb": 10}
    assert epochs("bert") == usual | {"mrpc": 5, "wnli": 5}
    assert epochs("sane") == dict.fromkeys(SCORED_TASKS, 5)


def test_rates_and_batches_are_those_published():
    found = {}
    for recipe in ("electra", "bert", "sane"):
        one = settings_of(GlueConfig(recipe=recipe), TASKS["cola"])
        found[recipe] = one.learning_rate, one.batch_size, one.layer_decay, one.schedule
    assert found == {
        "electra": (1e-4, 32, 0.8, "linear"),
        "bert": (2e-5, 32, 1.0, "linear"),
        "sane": (4e-5, 16, 1.0, "cosine"),
    }


def test_electra_alone_takes_pairs_in_both_orders():
    both = {
        (recipe, name)
        for recipe in ("electra", "bert", "sane")
        for name in SCORED_TASKS
        if settings_of(GlueConfig(recipe=recipe), TASKS[name]).both_orders
    }
    assert both == {("electra", "mrpc"), ("electra", "stsb")}


@pytest.mark.parametrize("recipe", ["electra", "bert", "sane"])
def test_what_a_person_chooses_holds_for_every_task(recipe):
    config = GlueConfig(recipe=recipe, epochs=2, batch_size=7, learning_rate=3e-4)
    for name in SCORED_TASKS:
        one = settings_of(config, TASKS[name])
        assert (one.epochs, one.batch_size, one.learning_rate) == (2, 7, 3e-4)


def test_the_last_batch_of_an_epoch_may_be_short():
    settings = settings_of(GlueConfig(epochs=3, batch_size=4), TASKS["cola"])
    assert steps_of(10, settings) == 9
