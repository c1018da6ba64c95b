import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model import vocabulary
from shards.errors import DataError
from train.batch import to_batches
from train.config import pretrain_config
from train.fake_step import StepShape, fake_step, like_cuda, make_rows
from train.initial import checkpoint_activations, make_model
from train.live_memory import LiveMemory
from train.memory import (
    CPU_LIBRARIES,
    CPU_OVERHEAD,
    Training,
    largest_micro_batch,
    predict_memory,
    tell_apart,
)
from train.optimizer import make_optimizer
from train.plan_rows import plan_rows
from train.stages import Stage

SCRIPT = Path(__file__).with_name("measured_step.py")
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
"""Of glibc: what is freed goes back to the system at once, so that its slack is not measured."""
MEASURED = [
    ("tiny", 16, 16, 128, False),
    ("tiny", 16, 8, 128, True),
    ("tiny", 8, 8, 512, False),
    ("bert-mini", 16, 16, 128, False),
    ("bert-mini", 4, 4, 512, True),
    ("home", 8, 4, 128, False),
    ("home", 2, 2, 512, True),
    ("electra-small", 8, 8, 128, True),
    ("home-768", 2, 1, 512, True),
    ("albert-base", 2, 2, 128, False),
]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def training(preset="tiny", length=32, rows=8, vocab_size=500, device="cpu", **chosen):
    if "optimizer" in chosen:
        chosen = {"learning_rate": 1e-3} | chosen
    config = pretrain_config(preset, stages=(Stage(length, 1.0, rows),), **chosen)
    planned = plan_rows(config, None, vocab_size)
    return Training(
        config=config,
        kind=planned.kind,
        header=planned.headers[length],
        dtype=torch.float32,
        device=device,
    )


def test_a_storage_counts_once_and_until_it_is_let_go():
    with LiveMemory() as live:
        one = torch.empty(1000)
        view = one.view(10, 100)
        assert live.bytes == 4000
        other = view + 1
        assert live.bytes == 8000
        del one, other
        assert live.bytes == 4000
        del view
        assert (live.bytes, live.peak) == (0, 8000)


def test_what_autograd_keeps_counts():
    with LiveMemory() as live:
        weight = torch.ones(100, requires_grad=True)
        loss = (weight.exp() * 2).sum()  # exp keeps its result
        assert live.bytes >= 800
        loss.backward()
        del loss
        assert live.bytes == 800  # weight and gradient


@pytest.mark.parametrize("preset", ["tiny", "bert-tiny", "algpt2-small", "nystromformer-base"])
@pytest.mark.parametrize("checkpoints", [False, True])
def test_fake_tensors_take_what_real_ones_take(preset, checkpoints):
    what = training(preset, length=80 if preset.startswith("nystrom") else 32)
    shapes = [
        replace(
            shape,
            hidden_size=64,
            num_attention_heads=2,
            intermediate_size=96,
            num_hidden_layers=3,
            num_hidden_groups=1 if shape.num_hidden_groups == 1 else 3,
        )
        for shape in vars(what.kind).values()
        if hasattr(shape, "hidden_size")
    ]
    names = [name for name, value in vars(what.kind).items() if hasattr(value, "hidden_size")]
    kind = replace(what.kind, **dict(zip(names, shapes, strict=True)))
    optimizer = partial(make_optimizer, config=what.config)
    shape = StepShape(batch_size=8, micro_batch=8, activation_checkpointing=checkpoints)
    fake = fake_step(kind, optimizer, what.header, shape)

    rows = make_rows(what.header, np.full(8, what.header.max_length - 1))
    (batch,) = to_batches(rows, np.zeros(8, np.int64), what.header, 8, torch.device("cpu"))
    with LiveMemory() as live:
        model = make_model(kind)
        checkpoint_activations(model, checkpoints)
        weights = live.bytes
        optimize = optimizer(model)
        for _ in range(2):
            loss = model.loss(model(**vars(batch)))
            loss.backward()
            del loss
            optimize.step()
            optimize.zero_grad(set_to_none=True)
    assert fake.weights == weights
    assert sum(vars(fake).values()) == pytest.approx(live.peak, rel=0.05)


def test_the_generators_of_random_numbers_are_left_as_they_were():
    before = torch.get_rng_state()
    predict_memory(training(), 8, 8, False)
    assert torch.equal(torch.get_rng_state(), before)


def test_checkpointing_takes_less():
    what = training("bert-mini")
    kept, anew = (predict_memory(what, 64, 64, checkpoints) for checkpoints in (False, True))
    assert anew.activations < 0.6 * kept.activations
    assert (anew.weights, anew.optimizer) == (kept.weights, kept.optimizer)


@pytest.mark.parametrize(
    ("optimizer", "share"), [("adamw", 2), ("sgd", 1), ("adafactor", 0), ("muon", 1.3)]
)
def test_an_optimizer_keeps_what_it_keeps(optimizer, share):
    memory = predict_memory(training(optimizer=optimizer), 8, 8, False)
    assert memory.optimizer / memory.weights == pytest.approx(share, abs=0.3)


def test_gradients_of_earlier_micro_batches_take_memory_in_later_ones():
    what = training("bert-tiny", vocab_size=30522)
    whole, divided = (predict_memory(what, rows, 8, False) for rows in (8, 16))
    assert divided.total > whole.total


def test_attention_on_cuda_does_not_hold_its_weights():
    def per_token(length, device):
        what = training("bert-tiny", length=length, device=device)
        return predict_memory(what, 8, 8, False).activations / length

    assert per_token(256, "cuda") < 1.2 * per_token(64, "cuda")
    assert per_token(256, "cpu") > 1.2 * per_token(64, "cpu")


def test_what_is_done_like_cuda_is_done_no_longer_afterwards():
    before = F.dropout, F.layer_norm, F.scaled_dot_product_attention, vocabulary.CPU_CHUNK
    with like_cuda():
        assert F.dropout is not before[0]
    after = F.dropout, F.layer_norm, F.scaled_dot_product_attention, vocabulary.CPU_CHUNK
    assert after == before


def test_the_largest_micro_batch_fits_and_a_larger_one_does_not():
    what, rows = training("bert-mini"), 512
    whole = predict_memory(what, rows, rows, False)
    budget = whole.total - whole.activations // 3
    choice = largest_micro_batch(what, budget, rows, False)
    assert choice.memory.total <= budget
    assert choice.micro_batch == -(-rows // choice.micro_batches) < rows
    larger = -(-rows // (choice.micro_batches - 1))
    assert larger == rows or predict_memory(what, rows, larger, False).total > budget
    assert f"{choice.micro_batches} micro-batches of {choice.micro_batch} rows" in choice.reason


def test_all_rows_go_at_once_where_they_fit():
    choice = largest_micro_batch(training(), 10**10, 8)
    assert (choice.micro_batch, choice.micro_batches) == (8, 1)
    assert not choice.activation_checkpointing
    assert choice.reason.startswith("all 8 rows in one forward pass: ")
    assert choice.reason.endswith(" of 10.0 GB, with all activations kept")


@pytest.mark.slow
def test_activations_are_computed_again_where_a_micro_batch_would_be_small():
    what, rows = training("bert-mini"), 512
    memory = predict_memory(what, rows, 16, False)
    choice = largest_micro_batch(what, memory.total, rows)
    assert choice.activation_checkpointing
    assert choice.micro_batch > 16
    assert "without, 1" in choice.reason


def test_what_does_not_fit_is_said_with_a_remedy():
    with pytest.raises(DataError, match="one row of 32 tokens takes") as error:
        largest_micro_batch(training("bert-mini"), 10**8, 8)
    assert "600.0 MB of it for the process and its libraries" in error.value.problem
    assert error.value.remedy.startswith("give --memory ")
    assert "--preset" not in error.value.remedy


@pytest.mark.slow
def test_a_remedy_fits_and_no_other_is_given():
    what = training("tiny")
    least = predict_memory(what, 8, 1, True)
    with pytest.raises(DataError, match="one row of 32") as error:
        largest_micro_batch(what, CPU_OVERHEAD + 10**6, 8)
    assert "a smaller --preset" in error.value.remedy
    assert "adafactor" not in error.value.remedy
    assert "shorter rows" not in error.value.remedy
    with pytest.raises(DataError, match="one row of 32") as error:
        largest_micro_batch(what, least.total - 1, 8)
    assert f"--memory {-(-least.total // 10**6)}MB or more" in error.value.remedy
    assert "--optimizer adafactor" in error.value.remedy


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (2_000_000_000, 10**9, ("2.0 GB", "1.0 GB")),
        (1_010_000_000, 10**9, ("1,010.0 MB", "1,000.0 MB")),
        (1_000_000_001, 10**9, ("1,000,000,001 bytes", "1,000,000,000 bytes")),
    ],
)
def test_sizes_are_told_with_digits_that_differ(one, other, words):
    assert tell_apart(one, other) == words


def _measure(preset, rows, micro_batch, length, checkpoints):
    arguments = [preset, rows, micro_batch, length, int(checkpoints), "float32"]
    environment = {**os.environ, **ALLOCATOR, "PYTHONPATH": str(SCRIPT.parents[2])}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        check=True,
        capture_output=True,
        env=environment,
        text=True,
    )
    return int(done.stdout.splitlines()[-1])


def _check(preset, rows, micro_batch, length, checkpoints):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells the anonymous memory of a process")
    what = training(preset, length, rows, vocab_size=30522)
    memory = predict_memory(what, rows, micro_batch, checkpoints)
    predicted = memory.total - memory.checkpoint - CPU_OVERHEAD + CPU_LIBRARIES
    assert predicted == pytest.approx(
        _measure(preset, rows, micro_batch, length, checkpoints), rel=0.15
    )


@pytest.mark.slow
def test_memory_is_what_a_process_takes():
    _check("tiny", 8, 4, 128, True)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", MEASURED)
def test_memory_of_other_networks_is_what_a_process_takes(arguments):
    _check(*arguments)
