"""A run from its first step to its export, of every kind of model, in one piece."""

import gc
import json
import os
import re
import shlex
import shutil
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from model import presets
from model.config import ElectraConfig, LanguageModelConfig
from shards.errors import DataError
from shards.shuffled import ShuffledRows
from tests.commands import run
from train.available import Available
from train.checkpoint import State
from train.config import pretrain_config
from train.initial import make_model
from train.interrupt import interruptible
from train.metrics import read_metrics, write_metrics
from train.precision import Precision
from train.pretrain import start_run
from train.runs import load_run
from train.saver import Saver
from train.setup import new_trainer

CLOCK = ("tokens_per_second", "data_wait", "seconds", "flops_utilisation", "peak_memory")


def numbers(folder):
    """Return the metrics without what the clock says."""
    lines = list(read_metrics(folder / "metrics.jsonl"))
    return [{name: line[name] for name in line if name not in CLOCK} for line in lines]


def weights(folder):
    return (folder / "hf" / "model.safetensors").read_bytes()


def say_nothing(line):
    """Be silent."""


def make_trainer(run_folder, on_cpu, say=say_nothing, **changes):
    """Return a trainer of a run at step 0."""
    run = load_run(run_folder)
    run = replace(run, config=replace(run.config, **changes))
    torch.manual_seed(run.config.seed)
    precision = Precision(run.config.precision, "")
    return new_trainer(run, make_model(run.model), on_cpu, torch.device("cpu"), precision, say)


def test_a_finished_run_has_a_line_for_every_step_and_two_checkpoints(run_folder):
    assert [line["step"] for line in numbers(run_folder)] == [1, 2, 3, 4, 5, 6]
    assert [("validation" in line) for line in numbers(run_folder)] == [False, True] * 3
    assert sorted(path.name for path in (run_folder / "checkpoints").iterdir()) == [
        "step-0000004",
        "step-0000006",
    ]


def test_a_line_tells_losses_rate_norm_speed_wait_memory_and_utilisation(run_folder):
    line = list(read_metrics(run_folder / "metrics.jsonl"))[-1]
    assert {"masked_language_model_loss", "replaced_token_accuracy", "sentence_order_loss"} < set(
        line
    )
    assert 0 < line["learning_rate"] < 2e-3
    assert line["grad_norm"] > 0
    assert line["tokens_per_second"] > 0
    assert 0 < line["data_wait"] < 1
    share = line["flops_utilisation"]
    assert share is None or 0 < share <= 1
    assert line["peak_memory"] > 50e6


def test_the_same_seed_gives_the_same_run_however_it_is_watched(
    run_folder, shards_folder, small_config, on_cpu, tmp_path
):
    other = replace(on_cpu, log_every=3, checkpoint_every=4, evaluate_every=2, keep=1)
    start_run(shards_folder, tmp_path / "again", small_config, other, say_nothing)
    assert numbers(tmp_path / "again") == numbers(run_folder)
    assert weights(tmp_path / "again") == weights(run_folder)
    assert len(list((tmp_path / "again" / "checkpoints").iterdir())) == 1


def test_a_new_run_takes_no_folder_that_holds_something(
    shards_folder, small_config, on_cpu, run_folder, tmp_path
):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(DataError, match="is not empty: choose another --out"):
        start_run(shards_folder, tmp_path, small_config, on_cpu, say_nothing)
    with pytest.raises(DataError, match="--resume, or choose another --out"):
        start_run(shards_folder, run_folder, small_config, on_cpu, say_nothing)


def test_a_device_that_is_not_there_leaves_no_run_behind(
    shards_folder, small_config, on_cpu, tmp_path
):
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    on_mps = replace(on_cpu, device="mps")
    with pytest.raises(DataError, match="finds no mps device"):
        start_run(shards_folder, tmp_path / "run", small_config, on_mps, say_nothing)
    assert not (tmp_path / "run").exists()


SIZES = {"embedding_size": 32, "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
SIZES |= {"intermediate_size": 64}


def shrunk(shape):
    groups = min(2, shape.num_hidden_groups)
    return replace(shape, **SIZES, num_hidden_groups=groups, num_landmarks=8)


def shrink(name, monkeypatch):
    """Make the networks of a preset as small as they get, its objectives as they are."""
    preset = presets.PRESETS[name]
    if isinstance(preset.model, ElectraConfig):
        halves = {half: shrunk(getattr(preset.model, half)) for half in ("generator",)}
        model = replace(preset.model, **halves, discriminator=shrunk(preset.model.discriminator))
    else:
        model = replace(preset.model, model=shrunk(preset.model.model))
    monkeypatch.setitem(presets.PRESETS, name, replace(preset, model=model))


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_trains(name, shards_folder, stream_folder, on_cpu, tmp_path, monkeypatch):
    shrink(name, monkeypatch)
    model = presets.PRESETS[name].model
    is_decoder = isinstance(model, LanguageModelConfig) and model.model.is_decoder
    folders = (stream_folder, shards_folder) if is_decoder else (shards_folder, stream_folder)
    config = pretrain_config(name, steps=2, batch_size=2, precision="float32")
    lines = []
    start_run(folders[0], tmp_path / "run", config, on_cpu, lines.append)
    last = numbers(tmp_path / "run")[-1]
    assert np.isfinite(last["loss"])
    assert np.isfinite(last["validation"][next(n for n in last if n.endswith("_loss"))])
    assert load_run(tmp_path / "run").model == load_run(tmp_path / "run").model
    has_class = model.model.attention == "softmax" if not hasattr(model, "generator") else True
    assert (tmp_path / "run" / "hf" / "config.json").is_file() == has_class
    assert has_class or any(line.startswith("not exported") for line in lines)
    with pytest.raises(DataError, match=r"run `python cli.py pack` with --layout"):
        start_run(folders[1], tmp_path / "other", config, on_cpu, say_nothing)
    assert not (tmp_path / "other").exists()


def test_without_validation_rows_the_run_says_so_once_and_goes_on(two_lengths, on_cpu, tmp_path):
    shards = tmp_path / "shards"
    shutil.copytree(two_lengths, shards)
    manifest = json.loads((shards / "manifest.json").read_text())
    manifest["files"] = {
        name: record
        for name, record in manifest["files"].items()
        if not name.startswith("validation/")
    }
    (shards / "manifest.json").write_text(json.dumps(manifest))
    lines = []
    stages = ({"max_length": 32, "share": 0.5}, {"max_length": 64, "share": 0.5})
    config = pretrain_config("tiny", steps=2, batch_size=2, stages=stages)
    start_run(shards, tmp_path / "run", config, on_cpu, lines.append)
    (line,) = (line for line in lines if line.startswith("no validation rows"))
    assert "; pack with a larger --validation-fraction" in line


def test_the_command_named_next_trains_on_shards_of_several_lengths(two_lengths, tmp_path):
    following = run("verify", two_lengths, "--quiet").output.splitlines()[-1]
    words = shlex.split(following.removeprefix("next: python cli.py "))
    assert words == ["pretrain", "--shards", str(two_lengths), "--stages", "32", "--preset", "tiny"]
    small = shlex.split("--preset tiny --steps 1 --batch-size 2 --device cpu --precision float32")
    result = run(*words, *small, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output


def test_stages_train_on_rows_of_their_length_and_are_scored_on_such(two_lengths, on_cpu, tmp_path):
    fields = {"steps": 4, "batch_size": 4, "precision": "float32"}
    config = pretrain_config("tiny", **fields)
    with pytest.raises(DataError, match=r"has rows of 32, 64 tokens: choose with --stages"):
        start_run(two_lengths, tmp_path / "run", config, on_cpu, say_nothing)
    config = pretrain_config("tiny", **fields, stages=({"max_length": 16, "share": 1.0},))
    with pytest.raises(DataError, match="none of 16"):
        start_run(two_lengths, tmp_path / "run", config, on_cpu, say_nothing)
    stages = ({"max_length": 32, "share": 0.5}, {"max_length": 64, "share": 0.5})
    config = pretrain_config("tiny", **fields, stages=stages)
    start_run(two_lengths, tmp_path / "run", config, on_cpu, say_nothing)
    assert [one["max_length"] for one in numbers(tmp_path / "run")] == [32, 32, 64, 64]
    trainer = make_trainer(tmp_path / "run", on_cpu)
    lengths = []
    for _ in range(4):
        trainer.pending.append(trainer.train_step())
        trainer.read_numbers()
        lengths.append((trainer.opened, trainer.find_position().batch_size))
    assert lengths == [(32, 4), (32, 2), (64, 2), (64, 2)]
    assert load_run(tmp_path / "run").model.discriminator.max_position_embeddings == 64


def test_a_run_of_some_seconds_ends_with_them(shards_folder, on_cpu, tmp_path):
    config = pretrain_config("tiny", hours=1.5 / 3600, batch_size=4, precision="float32")
    rarely = replace(on_cpu, checkpoint_every=10_000)
    start_run(shards_folder, tmp_path / "run", config, rarely, say_nothing)
    lines = list(read_metrics(tmp_path / "run" / "metrics.jsonl"))
    assert lines[-1]["seconds"] >= 1.5 > lines[-2]["seconds"]
    assert lines[-1]["learning_rate"] < max(line["learning_rate"] for line in lines) / 2
    assert "validation" in lines[-1]


def test_a_number_that_is_not_finite_stops_before_the_update_and_names_step_and_rows(
    run_folder, on_cpu
):
    trainer = make_trainer(run_folder, on_cpu)
    trainer.train_step()
    with torch.no_grad():
        trainer.model.discriminator.objectives["replaced_token"].head.dense.bias.fill_(float("nan"))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    rows, _ = trainer.rows.order.take(4, 4)
    message = re.escape(f"the loss is nan of step 2, on rows {rows.tolist()} of the training")
    with pytest.raises(DataError, match=message):
        trainer.train_step()
    after = trainer.model.state_dict()
    assert all(torch.equal(after[n], before[n]) or "replaced" in n for n in before)
    assert trainer.state.step == 1


def test_a_device_that_nobody_waits_for_is_found_out_when_its_numbers_are_read(run_folder, on_cpu):
    trainer = make_trainer(run_folder, on_cpu)
    trainer.pending = [trainer.train_step() for _ in range(3)]
    trainer.pending[1].numbers["grad_norm"] = torch.tensor(float("inf"))
    with pytest.raises(DataError, match="the grad_norm is inf of step 2, on rows"):
        trainer.read_numbers()


def test_a_loss_scaler_may_skip_some_updates_and_not_many(run_folder, on_cpu):
    trainer = make_trainer(run_folder, on_cpu, precision="float16")
    step = trainer.train_step()
    sound, spoilt = (
        step._replace(numbers=step.numbers | {"grad_norm": torch.tensor(norm)})
        for norm in (1.0, float("nan"))
    )
    trainer.pending = [spoilt] * 19
    assert [line["grad_norm"] for line in trainer.read_numbers()] == [None] * 19
    assert trainer.state.skipped == trainer.state.skipped_updates == 19
    trainer.pending = [sound, *[spoilt] * 20]
    with pytest.raises(DataError, match="the grad_norm is nan of step 1"):
        trainer.read_numbers()
    assert (trainer.state.skipped, trainer.state.skipped_updates) == (19, 38)
    trainer.state, trainer.pending = State(skipped_updates=7), [sound, spoilt]
    assert [line["skipped_updates"] for line in trainer.read_numbers()] == [7, 8]


def test_the_loop_overfits_one_batch(shards_folder, on_cpu, tmp_path, monkeypatch):
    first = (np.arange(2), np.zeros(2, np.int64))
    monkeypatch.setattr(
        ShuffledRows, "read", lambda self, *_: (self.shards.gather(first[0]), first[1])
    )
    monkeypatch.setattr("train.step.draw_from", lambda *seed: torch.manual_seed(0))
    fields = {"sentence_order": "neither", "precision": "float32", "learning_rate": 2e-3}
    config = pretrain_config("tiny", steps=150, batch_size=2, **fields)
    rarely = replace(on_cpu, checkpoint_every=150)
    start_run(shards_folder, tmp_path / "run", config, rarely, say_nothing)
    losses = [line["loss"] for line in numbers(tmp_path / "run")]
    assert losses[0] > 20
    assert losses[-1] < 0.1


def train_interrupted(trainer):
    with (
        write_metrics(trainer.run.metrics, 0) as metrics,
        Saver(trainer.run.checkpoints, keep=2, keep_every=None, command=None, say=print) as saver,
        interruptible() as interrupt,
    ):
        os.kill(os.getpid(), signal.SIGINT)
        trainer.train(metrics, saver, interrupt)


def test_a_signal_stops_after_the_step_with_a_checkpoint(run_folder, on_cpu, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "checkpoints")
    trainer = make_trainer(broken, on_cpu)
    with pytest.raises(DataError, match="stopped after step 1, as asked: go on with"):
        train_interrupted(trainer)
    assert [path.name for path in (broken / "checkpoints").iterdir()] == ["step-0000001"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_step_leaves_nothing_to_the_garbage_collector(run_folder, on_cpu):
    trainer = make_trainer(run_folder, on_cpu)
    for _ in range(2):
        trainer.pending.append(trainer.train_step())
        trainer.read_numbers()
    gc.collect()
    gc.disable()
    try:
        for _ in range(4):
            trainer.pending.append(trainer.train_step())
            trainer.read_numbers()
        assert gc.collect() < 100
    finally:
        gc.enable()


def test_a_pass_that_takes_more_than_this_machine_has_is_refused(run_folder, on_cpu, monkeypatch):
    said = []
    make_trainer(run_folder, on_cpu, said.append)
    assert not any("counting" in line for line in said)  # far from it
    make = partial(make_trainer, run_folder, on_cpu, said.append)
    monkeypatch.setattr("train.setup.host_memory", lambda: Available(300 * 10**6, 10**9))
    make(batch_size=64)
    message = r"100,000,000 rows of 64 in a forward pass take more memory than the 1\.0 GB that .*"
    with pytest.raises(DataError, match=message + "give --memory 300MB, which chooses what fits"):
        make(batch_size=100_000_000)
    assert said[-1] == "counting the memory of a step on rows of 64 ..."
    by_parts = replace(on_cpu, micro_batch=8)
    make_trainer(run_folder, by_parts, batch_size=100_000_000)
    monkeypatch.setattr("train.setup.host_memory", lambda: None)
    make(batch_size=100_000_000)


def test_memory_decides_the_micro_batch(run_folder, on_cpu):
    lines = []
    trainer = make_trainer(run_folder, replace(on_cpu, memory=800_000_000), lines.append)
    trainer.train_step()
    assert 1 <= trainer.updater.micro_batch <= 4
    assert any(line.startswith("rows of 64: ") for line in lines)
