"""How many rows at a time fit into a given memory."""

from dataclasses import replace

import pytest
import torch

from pipeline.tasks import TASKS
from shards.errors import DataError
from tests.train.glue.test_finetune import TAGS, TOPICS
from tests.train.glue.toy import LONGEST
from train.glue.classifier import find_model
from train.glue.config import GlueConfig, GlueExecution
from train.glue.place import Work, find_place, step_bytes
from train.glue.recipes import settings_of
from train.memory import CPU_OVERHEAD

COLA = TASKS["cola"]
SETTINGS = settings_of(GlueConfig(), COLA)


@pytest.fixture
def pretrained(run):
    return find_model(run)


def taken(pretrained, rows, task=COLA, on_cuda=False):
    work = Work(pretrained=pretrained, task=task, settings=SETTINGS, max_length=LONGEST)
    return step_bytes(work, rows, on_cuda, torch.float32)


@pytest.mark.parametrize("task", [COLA, TASKS["stsb"], TOPICS, TAGS], ids=lambda one: one.kind)
@pytest.mark.parametrize("on_cuda", [False, True])
def test_more_rows_take_more(pretrained, task, on_cuda):
    sizes = [taken(pretrained, rows, task, on_cuda) for rows in (4, 8, 16)]
    assert sizes == sorted(set(sizes))
    assert 1.5 < (sizes[2] - sizes[1]) / (sizes[1] - sizes[0]) < 2.5


def test_an_update_takes_weights_gradients_and_two_moments(pretrained):
    wide = replace(pretrained, shape=replace(pretrained.shape, vocab_size=100_000))
    table = 100_000 * 16 * 4
    assert taken(wide, 32) - taken(pretrained, 32) == pytest.approx(4 * table, rel=0.1)
    # In parts there is the gradient so far beside that of a part.
    assert taken(wide, 4) - taken(pretrained, 4) == pytest.approx(5 * table, rel=0.1)


def test_memory_decides_how_many_rows_go_at_a_time(pretrained):
    def micro_batch(memory, **options):
        execution = GlueExecution(device="cpu", memory=memory, **options)
        said = []
        place = find_place(execution, pretrained, COLA, SETTINGS, LONGEST, said.append)
        return place.micro_batch, len(said)

    all_rows, eight = taken(pretrained, 32), taken(pretrained, 8)
    assert micro_batch(all_rows) == (None, 0)
    assert micro_batch(all_rows - 1) == (16, 1)
    assert micro_batch(eight) == (8, 1)
    assert micro_batch(all_rows, micro_batch=4) == (4, 0)
    with pytest.raises(DataError, match=r"one row of 20 tokens takes .*give --memory \d+MB"):
        micro_batch(CPU_OVERHEAD)


def test_a_cpu_computes_in_float32_and_the_whole_batch(pretrained):
    place = find_place(GlueExecution(device="cpu"), pretrained, COLA, SETTINGS, LONGEST)
    assert (place.device.type, place.precision.name, place.micro_batch) == ("cpu", "float32", None)
