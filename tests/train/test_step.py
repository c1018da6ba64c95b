"""One update: whole however it is divided, out of memory, over several processes; never of NaN."""

import threading
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from model.config import LanguageModelConfig, ModelConfig
from model.language_model import LanguageModel
from shards.errors import DataError
from shards.order import share
from shards.reader import ShardFolder
from train.batch import to_batches
from train.optimizer import adamw
from train.precision import Precision
from train.step import Taken, Updater, draw_from

CPU = torch.device("cpu")
SEED = (0, 0)


def make_updater(header, *, micro_batch=None, precision="float32", dropout=0.0) -> Updater:
    """Return an updater of a small model; without dropout, nothing in it is left to chance."""
    shape = ModelConfig(
        vocab_size=header.vocab_size,
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=header.max_length,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        embedding_dropout_prob=dropout,
    )
    config = LanguageModelConfig(
        model=shape,
        mask_token_id=header.mask_token_id,
        mask_replace_prob=1.0,
        random_replace_prob=0.0,
    )
    torch.manual_seed(0)
    model = LanguageModel(config)
    return Updater(
        model,
        adamw(model, 1e-3),
        Precision(precision, ""),
        CPU,
        max_grad_norm=1.0,
        micro_batch=micro_batch,
    )


def take(folder, count=32, process=0, processes=1) -> Taken:
    first, count = share(0, count, process, processes)
    rows = folder.gather(np.arange(first, first + count))
    return Taken(rows, np.zeros(count, np.int64), folder.header, first)


@pytest.fixture
def folder(shards_folder):
    return ShardFolder(shards_folder, "train")


def gradient(updater, taken):
    """Return the gradient of a batch, and its numbers."""
    numbers = updater._gather(taken, SEED, no_words).numbers
    return {name: one.grad for name, one in updater.model.named_parameters()}, numbers


def no_words(line):
    raise AssertionError(line)


def weights(updater):
    return {name: one.clone() for name, one in updater.model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("micro_batch", [8, 5, 1])
def test_micro_batches_give_the_gradient_of_one_large_batch(folder, micro_batch):
    whole, numbers = gradient(make_updater(folder.header), take(folder))
    divided, others = gradient(make_updater(folder.header, micro_batch=micro_batch), take(folder))
    for name, expected in whole.items():
        torch.testing.assert_close(divided[name], expected, rtol=1e-5, atol=1e-6)
    for name, number in numbers.items():
        torch.testing.assert_close(others[name], number)


def test_out_of_memory_the_step_is_done_again_with_half_as_many_rows(folder):
    expected = make_updater(folder.header, micro_batch=4, dropout=0.1)
    updater = make_updater(folder.header, dropout=0.1)
    forward, sizes, lines = updater.model.forward, [], []

    def small(input_ids, **batch):
        sizes.append(len(input_ids))
        if len(input_ids) > 8 or len(sizes) == 4:  # on the way, too
            raise torch.OutOfMemoryError("no memory")
        return forward(input_ids, **batch)

    updater.model.forward = small
    expected.update(take(folder), 1e-3, SEED, no_words)
    updater.update(take(folder), 1e-3, SEED, lines.append)
    assert sizes == [32, 16, 8, 8, *[4] * 8]
    assert updater.micro_batch == 4
    assert [line.split(":")[0] for line in lines] == [
        f"out of memory with {rows} rows in a forward pass" for rows in (32, 16, 8)
    ]
    assert_same(weights(updater), weights(expected))


def test_a_row_that_does_not_fit_is_one_line(folder):
    updater = make_updater(folder.header, micro_batch=1)

    def fail(**batch):
        raise torch.OutOfMemoryError("no memory")

    updater.model.forward = fail
    with pytest.raises(DataError, match="no memory for one row of 64 tokens"):
        updater.update(take(folder), 1e-3, SEED, no_words)


CPU_IS_FULL = "[enforce fail] not enough memory: you tried to allocate 9 bytes."


def test_out_of_memory_in_making_micro_batches_halves_them_too(folder, monkeypatch):
    updater, lines = make_updater(folder.header), []

    def divide(rows, epochs, header, micro_batch, device):
        if micro_batch > 8:
            raise RuntimeError(CPU_IS_FULL)
        return to_batches(rows, epochs, header, micro_batch, device)

    monkeypatch.setattr("train.step.to_batches", divide)
    assert updater.make_batches(take(folder)).batches == ()
    updater.update(updater.make_batches(take(folder)), 1e-3, SEED, lines.append)
    assert (updater.micro_batch, len(lines)) == (8, 2)


def test_an_optimizer_that_does_not_fit_is_one_line_and_other_errors_are_not(folder, monkeypatch):
    updater = make_updater(folder.header)
    errors = Mock(side_effect=[RuntimeError(CPU_IS_FULL), RuntimeError("a bug")])
    monkeypatch.setattr(updater.optimizer, "step", errors)
    with pytest.raises(DataError, match=r"no memory for the update.*--optimizer adafactor"):
        updater.update(take(folder), 1e-3, SEED, no_words)
    with pytest.raises(RuntimeError, match="a bug"):
        updater.update(take(folder), 1e-3, SEED, no_words)


def spoil(updater, value=float("nan")):
    """Make the gradient of one weight not finite."""
    bias = updater.model.network.objectives["masked_language_model"].head.bias
    bias.register_hook(lambda grad: torch.full_like(grad, value))


def test_a_gradient_that_is_not_finite_is_not_applied(folder):
    updater = make_updater(folder.header)
    updater.update(take(folder), 1e-3, SEED, no_words)
    before = weights(updater)
    spoil(updater)
    with pytest.raises(FloatingPointError, match="the grad_norm is nan"):
        updater.update(take(folder), 1e-3, SEED, no_words)
    assert_same(weights(updater), before)
    assert all(one.grad is None for one in updater.model.parameters())


def test_where_nobody_waits_for_the_device_its_kernel_changes_nothing(folder):
    updater = make_updater(folder.header)
    taken = take(folder)
    updater.update(taken, 1e-3, SEED, no_words)
    before = weights(updater)
    state = {key: dict(value) for key, value in updater.optimizer.state.items()}
    steps = [value["step"].clone() for value in state.values()]
    _, numbers = gradient(updater, taken)
    updater.device = torch.device("cuda")
    updater._apply(numbers | {"grad_norm": torch.tensor(float("inf"))})
    assert_same(weights(updater), before)
    assert [value["step"] for value in updater.optimizer.state.values()] == steps
    updater._apply(numbers | {"grad_norm": torch.tensor(1.0)})  # a later step, before anybody looks
    assert_same(weights(updater), before)
    updater._is_unsound.zero_()
    updater._apply(numbers | {"grad_norm": torch.tensor(1.0)})
    table = "network.backbone.embeddings.word_embeddings.weight"
    assert not torch.equal(weights(updater)[table], before[table])


def test_a_scaler_skips_an_update_that_overflows_and_tells_nobody(folder):
    updater = make_updater(folder.header, precision="float16")
    before = weights(updater)
    spoil(updater, float("inf"))
    scale = updater.scaler.get_scale()
    measured = updater.update(take(folder, 4), 1e-3, SEED, no_words)
    assert not measured.numbers["grad_norm"].isfinite()
    assert updater.scaler.get_scale() == scale / 2
    assert_same(weights(updater), before)


class Pair:
    """Two threads that add up their tensors, as processes do."""

    processes = 2

    def __init__(self, process, barrier, brought):
        self.process, self.barrier, self.brought = process, barrier, brought

    def add_up(self, tensors):
        self.brought[self.process] = [one.clone() for one in tensors]
        self.barrier.wait(60)
        for one, mine, other in zip(tensors, self.brought[0], self.brought[1], strict=True):
            one.copy_(mine + other)
        self.barrier.wait(60)


def update_as_two(updaters, folder, say=no_words):
    """Have two updaters do a step together; return the numbers of each."""
    found, barrier, brought = {}, threading.Barrier(2), {}

    def work(number):
        updater = updaters[number]
        updater.crew = Pair(number, barrier, brought)
        taken = take(folder, process=number, processes=2)
        found[number] = updater.update(taken, 1e-3, SEED, say).numbers

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_two_processes_do_the_update_of_one(folder):
    alone = make_updater(folder.header)
    expected = alone.update(take(folder), 1e-3, SEED, no_words).numbers
    updaters = [make_updater(folder.header, micro_batch=size) for size in (16, 5)]
    found = update_as_two(updaters, folder)
    for name, number in expected.items():
        torch.testing.assert_close(found[0][name], number, rtol=1e-5, atol=1e-6)
        assert torch.equal(found[0][name], found[1][name])
    assert expected["tokens"] == take(folder).rows.length.sum()
    assert_same(weights(updaters[0]), weights(updaters[1]))
    for name, weight in weights(alone).items():
        torch.testing.assert_close(weights(updaters[0])[name], weight, rtol=1e-4, atol=1e-5)


def test_one_of_two_may_run_out_of_memory_while_the_other_waits(folder):
    updaters = [make_updater(folder.header) for _ in range(2)]
    forward = updaters[1].model.forward

    def small(input_ids, **batch):
        if len(input_ids) > 4:
            raise torch.OutOfMemoryError("no memory")
        return forward(input_ids, **batch)

    updaters[1].model.forward = small
    lines = []
    update_as_two(updaters, folder, lines.append)
    assert len(lines) == 2
    assert [updater.micro_batch for updater in updaters] == [None, 4]
    assert_same(weights(updaters[0]), weights(updaters[1]))


def add_weights(updater, *, is_used):
    """Add a weight that is in the loss or not, and one that never is."""
    model = updater.model
    model.some, model.idle = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    updater.optimizer.add_param_group({"params": [model.some, model.idle], "weight_decay": 0.1})
    if is_used:
        loss = model.loss
        model.loss = lambda *given: loss(*given) + model.some.sum()


def test_a_weight_with_a_gradient_in_one_of_two_changes_in_both(folder):
    updaters = [make_updater(folder.header) for _ in range(3)]
    for updater, is_used in zip(updaters, (True, False, True), strict=True):
        add_weights(updater, is_used=is_used)
    update_as_two(updaters, folder)
    updaters[2].update(take(folder), 1e-3, SEED, no_words)
    assert_same(weights(updaters[0]), weights(updaters[1]))
    for updater in updaters:
        torch.testing.assert_close(updater.model.some, updaters[2].model.some)
        assert updater.model.some[0] < 1
        assert torch.equal(updater.model.idle, torch.ones(2))


def test_draws_are_a_function_of_seed_step_and_row():
    def draw(*seed):
        draw_from(*seed)
        return torch.rand(4).tolist()

    assert draw(0, 1, 8) == draw(0, 1, 8)
    assert len({tuple(draw(*seed)) for seed in ((0, 1, 8), (1, 1, 8), (0, 2, 8), (0, 1, 16))}) == 4
