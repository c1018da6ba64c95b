"""A run from its first step to its export, stopped and taken up in every way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shards.errors import DataError
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows
from train.checkpoint import State, newest_checkpoint
from train.config import pretrain_config
from train.interrupt import interruptible
from train.loop import Trainer
from train.metrics import read_metrics, write_metrics
from train.optimizer import adamw
from train.pretrain import resume_run, start_run, summary
from train.runs import load_run

ROOT = Path(__file__).parents[2]
TIMES = ("tokens_per_second", "data_wait", "seconds")


def numbers(folder):
    """Return the metrics without what the clock says."""
    lines = list(read_metrics(folder / "metrics.jsonl"))
    return [{name: line[name] for name in line if name not in TIMES} for line in lines]


def weights(folder):
    return (folder / "hf" / "model.safetensors").read_bytes()


def hear():
    lines = []
    return lines, lines.append


def test_a_finished_run_has_a_line_for_every_step_and_two_checkpoints(run_folder):
    assert [line["step"] for line in numbers(run_folder)] == [1, 2, 3, 4, 5, 6]
    assert [("validation" in line) for line in numbers(run_folder)] == [False, True] * 3
    assert sorted(path.name for path in (run_folder / "checkpoints").iterdir()) == [
        "step-0000004",
        "step-0000006",
    ]


def test_the_same_seed_gives_the_same_run(run_folder, shards_folder, small_config, tmp_path):
    start_run(shards_folder, tmp_path / "again", small_config, "cpu", lambda line: None)
    assert numbers(tmp_path / "again") == numbers(run_folder)
    assert weights(tmp_path / "again") == weights(run_folder)


def test_a_resumed_run_repeats_the_unbroken_one_to_the_bit(run_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "hf")
    shutil.rmtree(broken / "checkpoints" / "step-0000006")
    lines, say = hear()
    resume_run(broken, {}, None, "cpu", say)
    assert lines[0].startswith("going on after step 4")
    assert numbers(broken) == numbers(run_folder)
    assert weights(broken) == weights(run_folder)
    name = "checkpoints/step-0000006/optimizer.pt"
    one, other = (torch.load(folder / name, weights_only=True) for folder in (broken, run_folder))
    assert one["param_groups"] == other["param_groups"]
    for number, state in one["state"].items():
        assert all(torch.equal(state[key], other["state"][number][key]) for key in state)


def test_a_damaged_checkpoint_is_passed_over(run_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "hf")
    path = broken / "checkpoints" / "step-0000006" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    lines, say = hear()
    resume_run(broken, {}, None, "cpu", say)
    assert lines[0].startswith("going on after step 4")
    assert weights(broken) == weights(run_folder)


def test_without_a_whole_checkpoint_the_run_starts_over_and_says_so(run_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "hf")
    shutil.rmtree(broken / "checkpoints")
    lines, say = hear()
    resume_run(broken, {}, None, "cpu", say)
    assert lines[0] == "no whole checkpoint: starting at step 0"
    assert numbers(broken) == numbers(run_folder)


def test_a_finished_run_stands(run_folder):
    before = weights(run_folder)
    lines, say = hear()
    resume_run(run_folder, {}, None, "cpu", say)
    assert lines == [f"already done: {run_folder} has all of its 6 steps"]
    assert weights(run_folder) == before


def test_a_run_cannot_be_resumed_with_another_choice(run_folder):
    with pytest.raises(DataError, match="steps 6, not 7"):
        resume_run(run_folder, {"steps": 7}, None, "cpu", lambda line: None)


def test_a_run_cannot_go_on_with_other_shards(run_folder, shards_folder, tmp_path):
    broken, other = tmp_path / "broken", tmp_path / "shards"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "hf")
    shutil.copytree(shards_folder, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["files"]["tokenizer/tokenizer.json"]["blake3"] = "0" * 64
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="does not hold the shards"):
        resume_run(broken, {}, other, "cpu", lambda line: None)


def test_a_finished_run_needs_its_shards_no_more(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shards": "/nowhere"}))
    lines, say = hear()
    resume_run(tmp_path / "run", {}, None, "cpu", say)
    assert lines == [f"already done: {tmp_path / 'run'} has all of its 6 steps"]


def test_checkpoints_beyond_the_present_step_do_not_push_out_new_ones(run_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "hf")
    for path in broken.glob("checkpoints/*/model.safetensors"):
        path.write_bytes(b"")
    (broken / "checkpoints" / "step-0000006" / "manifest.json").write_text("{")
    trainer = make_trainer(broken)
    trainer.state = State(2, 0.0)
    trainer.save()
    assert [path.name for path in (broken / "checkpoints").iterdir()] == ["step-0000002"]


def test_a_broken_manifest_of_a_checkpoint_is_passed_over(run_folder, tmp_path):
    shutil.copytree(run_folder / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "step-0000006" / "manifest.json").write_text("{")
    assert newest_checkpoint(tmp_path / "checkpoints").name == "step-0000004"


def test_a_new_run_takes_no_folder_that_holds_something(shards_folder, small_config, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(DataError, match="is not empty: choose another --out"):
        start_run(shards_folder, tmp_path, small_config, "cpu", lambda line: None)


def test_a_device_that_is_not_there_leaves_no_run_behind(shards_folder, small_config, tmp_path):
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(DataError, match="finds no mps device"):
        start_run(shards_folder, tmp_path / "run", small_config, "mps", lambda line: None)
    assert not (tmp_path / "run").exists()


def test_the_summary_says_when_the_loss_is_over_the_baseline():
    scores = {
        "masked_language_model_loss": 7.0,
        "hidden_token_loss": 7.25,
        "replaced_token_loss": 0.3,
        "replaced_token_entropy": 0.4,
        "replaced_token_auc": 0.9,
        "sentence_order_accuracy": 0.8,
        "sentence_order_sigma": 0.02,
        "sentence_order_rows": 625,
    }
    over, under = (summary(scores, baseline) for baseline in (6.5, 7.5))
    assert "loss 7.000, 0.500 OVER guessing, as it is trained" in over[1]
    assert "loss 7.000, 0.500 under guessing" in under[1]
    assert "loss 7.250, 0.250 under guessing, with [MASK] at all" in under[2]
    assert len(over) == 5
    assert "hours of training" in summary(scores | {"replaced_token_auc": 0.55}, 6.5)[-1]


def test_a_second_run_does_not_overwrite_the_first(run_folder, shards_folder, small_config):
    with pytest.raises(DataError, match="--resume, or choose another --out"):
        start_run(shards_folder, run_folder, small_config, "cpu", lambda line: None)


def test_a_checkpoint_of_another_shape_is_refused(run_folder, shards_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "hf")
    path = broken / "run.json"
    run = json.loads(path.read_text())
    for part in ("generator", "discriminator"):
        run["model"][part]["embedding_size"] = 64
    path.write_text(json.dumps(run))
    with pytest.raises(DataError, match="does not fit the run's model"):
        resume_run(broken, {}, None, "cpu", lambda line: None)


def test_without_validation_rows_the_run_says_so_and_goes_on(shards_folder, tmp_path):
    shards = tmp_path / "shards"
    shutil.copytree(shards_folder, shards)
    manifest = json.loads((shards / "manifest.json").read_text())
    manifest["files"] = {
        name: record
        for name, record in manifest["files"].items()
        if not name.startswith("validation/")
    }
    (shards / "manifest.json").write_text(json.dumps(manifest))
    lines, say = hear()
    config = pretrain_config("tiny", steps=1, batch_size=2)
    start_run(shards, tmp_path / "run", config, "cpu", say)
    assert any(line.startswith("no validation rows") for line in lines)


def make_trainer(run_folder, device="cpu"):
    run = load_run(run_folder)
    from model.electra import make_electra

    torch.manual_seed(0)
    model = make_electra(run.model)
    folders = (ShardFolder(Path(run.shards), split) for split in ("train", "validation"))
    optimizer = adamw(model, run.config.learning_rate)
    return Trainer(run, model, optimizer, *folders, torch.device(device))


def test_a_non_finite_loss_stops_before_the_update(run_folder):
    trainer = make_trainer(run_folder)
    with torch.no_grad():
        trainer.model.discriminator.objectives["replaced_token"].head.dense.bias.fill_(float("nan"))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(DataError, match=r"the loss of step 1 is nan, on rows \[\d+, "):
        trainer.train_step()
    after = trainer.model.state_dict()
    assert all(torch.equal(after[n], before[n]) or "replaced" in n for n in before)
    assert trainer.state == State(0, 0.0)


def test_the_loop_overfits_one_batch(shards_folder, tmp_path, monkeypatch):
    first = (np.arange(4), np.zeros(4, np.int64))
    monkeypatch.setattr(
        ShuffledRows, "read", lambda self, *_: (self.shards.gather(first[0]), first[1])
    )
    config = pretrain_config("tiny", steps=150, batch_size=4, checkpoint_every=150)
    start_run(shards_folder, tmp_path / "run", config, "cpu", lambda line: None)
    losses = [line["masked_language_model_loss"] for line in numbers(tmp_path / "run")]
    assert losses[-1] < 0.5 * losses[0]


def test_vectors_are_not_decayed(run_folder):
    trainer = make_trainer(run_folder)
    decayed, plain = trainer.optimizer.param_groups
    assert {parameter.ndim for parameter in decayed["params"]} == {2}
    assert {parameter.ndim for parameter in plain["params"]} == {1}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)


def test_a_signal_stops_after_the_step_with_a_checkpoint(run_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    shutil.rmtree(broken / "checkpoints")
    trainer = make_trainer(broken)
    with write_metrics(trainer.run.metrics, 0) as metrics, interruptible() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(DataError, match="stopped after step 1, as asked: go on with"):
            trainer.train(metrics, interrupt)
    assert [path.name for path in (broken / "checkpoints").iterdir()] == ["step-0000001"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(shards_folder, tmp_path):
    command = [sys.executable, str(ROOT / "cli.py"), "pretrain", "--shards", str(shards_folder)]
    command += ["--preset", "tiny", "--steps", "40", "--batch-size", "4", "--checkpoint-every", "5"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([*command, "--out", str(whole)], check=True, cwd=ROOT)
    for delay in (0.0, 0.4, 1.1):
        resume = ["--resume"] if (broken / "run.json").exists() else []
        process = subprocess.Popen([*command, "--out", str(broken), *resume], cwd=ROOT)
        while process.poll() is None and not (broken / "checkpoints").exists():
            time.sleep(0.05)
        time.sleep(delay)
        process.kill()
        process.wait()
    subprocess.run([*command, "--out", str(broken), "--resume"], check=True, cwd=ROOT)
    assert numbers(broken) == numbers(whole)
    one, other = (load_file(folder / "hf" / "model.safetensors") for folder in (broken, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)
