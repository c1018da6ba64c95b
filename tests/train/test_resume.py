"""A run taken up again: the same to the bit, refused where something differs; and old weights."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shards.errors import DataError
from train.checkpoint import newest_checkpoint
from train.config import execution, pretrain_config
from train.metrics import read_metrics
from train.pretrain import resume_run, start_run

ROOT = Path(__file__).parents[2]
CLOCK = ("tokens_per_second", "data_wait", "seconds", "flops_utilisation", "peak_memory")


def numbers(folder):
    """Return the metrics without what the clock says."""
    lines = list(read_metrics(folder / "metrics.jsonl"))
    return [{name: line[name] for name in line if name not in CLOCK} for line in lines]


def assert_same_runs(one, other):
    """Compare losses, weights and the optimizer's state, to the bit."""
    assert numbers(one) == numbers(other)
    for path in (one / "hf").rglob("*.safetensors"):
        same = path.read_bytes() == (other / path.relative_to(one)).read_bytes()
        assert same, path.name
    newest = newest_checkpoint(one / "checkpoints").name
    mine, its = (
        torch.load(folder / "checkpoints" / newest / "optimizer.pt", weights_only=True)
        for folder in (one, other)
    )
    assert mine["param_groups"] == its["param_groups"]
    for number, state in mine["state"].items():
        assert all(torch.equal(state[key], its["state"][number][key]) for key in state)


def say_nothing(line):
    """Be silent."""


@pytest.fixture
def broken(run_folder, tmp_path):
    """Return a copy of the run, as it was before its last checkpoint."""
    folder = tmp_path / "broken"
    shutil.copytree(run_folder, folder)
    shutil.rmtree(folder / "hf")
    shutil.rmtree(folder / "checkpoints" / "step-0000006")
    return folder


def test_a_resumed_run_repeats_the_unbroken_one_to_the_bit(run_folder, broken, on_cpu):
    lines = []
    otherwise = replace(on_cpu, checkpoint_every=3, evaluate_every=2, log_every=5, keep=1)
    resume_run(broken, {"precision": "auto", "steps": 6}, None, otherwise, lines.append)
    assert any(line.startswith("going on after step 4") for line in lines)
    assert_same_runs(broken, run_folder)


def test_a_damaged_checkpoint_is_named_and_passed_over(run_folder, broken, on_cpu):
    lines = []
    shutil.copytree(broken / "checkpoints/step-0000004", broken / "checkpoints/step-0000005")
    path = broken / "checkpoints" / "step-0000005" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    resume_run(broken, {}, None, on_cpu, lines.append)
    assert any("step-0000005, which is damaged: model.safetensors" in line for line in lines)
    assert_same_runs(broken, run_folder)


@pytest.mark.slow
def test_without_a_whole_checkpoint_the_run_starts_over_and_says_so(run_folder, broken, on_cpu):
    lines = []
    shutil.rmtree(broken / "checkpoints")
    resume_run(broken, {}, None, on_cpu, lines.append)
    assert "no checkpoint: starting at step 0" in lines
    assert_same_runs(broken, run_folder)


def test_where_every_checkpoint_is_damaged_nothing_starts_over(broken, on_cpu):
    """A week of training must not be begun again unseen."""
    for folder in (broken / "checkpoints").iterdir():
        (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match=r"every checkpoint in .* is damaged: put a whole one back"):
        resume_run(broken, {}, None, on_cpu, print)


def test_a_run_that_was_killed_before_its_export_only_exports(run_folder, tmp_path, on_cpu):
    shutil.copytree(run_folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "hf")
    resume_run(tmp_path / "run", {}, None, on_cpu, say_nothing)
    assert_same_runs(tmp_path / "run", run_folder)


def test_a_finished_run_stands_and_needs_its_shards_no_more(run_folder, tmp_path, on_cpu):
    shutil.copytree(run_folder, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shards": "/nowhere"}))
    lines = []
    resume_run(tmp_path / "run", {}, None, on_cpu, lines.append)
    assert lines == [f"already done: {tmp_path / 'run'} has its export"]


def test_another_choice_is_refused_by_name(run_folder, on_cpu):
    with pytest.raises(DataError, match="was started with steps 6, not 7: leave the option out"):
        resume_run(run_folder, {"seed": 0, "steps": 7}, None, on_cpu, say_nothing)


def altered(shards_folder, tmp_path, change):
    """Return a copy of the shards whose manifest a function has changed."""
    folder = tmp_path / "shards"
    shutil.copytree(shards_folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def other_tokenizer(manifest):
    manifest["counts"]["header"]["tokenizer"] = "0" * 64
    manifest["files"]["tokenizer/tokenizer.json"]["blake3"] = "0" * 64


def other_seed(manifest):
    manifest["config"]["seed"] = 7
    next(iter(manifest["files"].values()))["blake3"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "named"),
    [(other_tokenizer, "another tokenizer: "), (other_seed, "seed 0, not 7")],
)
def test_other_shards_are_refused_by_what_differs(
    broken, shards_folder, tmp_path, on_cpu, change, named
):
    shards = altered(shards_folder, tmp_path, change)
    with pytest.raises(DataError, match=f"does not hold the shards that .*{named}"):
        resume_run(broken, {}, shards, on_cpu, say_nothing)


def test_a_tokenizer_that_was_changed_in_the_run_is_refused(broken, on_cpu):
    path = broken / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(DataError, match="is not the tokenizer of the shards"):
        resume_run(broken, {}, None, on_cpu, say_nothing)


def test_a_run_of_an_older_version_is_one_line(broken, on_cpu):
    path = broken / "run.json"
    document = json.loads(path.read_text())
    del document["run_version"]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"is of run version 1, this Hearth reads 2: start another"):
        resume_run(broken, {}, None, on_cpu, say_nothing)


def test_a_checkpoint_of_another_shape_is_refused(broken, on_cpu):
    path = broken / "run.json"
    document = json.loads(path.read_text())
    for part in ("generator", "discriminator"):
        document["model"][part]["embedding_size"] = 64
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="does not fit the run's model"):
        resume_run(broken, {}, None, on_cpu, say_nothing)


@pytest.fixture(scope="module")
def command(shards_folder):
    """Return the command of a run that saves at every step."""
    options = ["--preset", "tiny", "--steps", "30", "--batch-size", "4", "--precision", "float32"]
    options += ["--checkpoint-every", "1", "--evaluate-every", "10", "--device", "cpu"]
    start = [sys.executable, str(ROOT / "cli.py"), "pretrain"]
    return [*start, "--shards", str(shards_folder), *options]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, shards_folder):
    """Return the run that `command` makes, never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    config = pretrain_config("tiny", steps=30, batch_size=4, precision="float32")
    on_cpu = execution("tiny", device="cpu", checkpoint_every=1, evaluate_every=10, quiet=True)
    start_run(shards_folder, folder, config, on_cpu, say_nothing)
    return folder


def kill_at_some_moment(command, folder, delay):
    """Start or take up the run, and kill it with `kill -9` some time after its next checkpoint."""
    checkpoints = folder / "checkpoints"
    before = set(checkpoints.iterdir()) if checkpoints.exists() else set()
    resume = ["--resume"] if (folder / "run.json").exists() else []
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(
        [*command, "--out", str(folder), *resume],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if checkpoints.exists() and set(checkpoints.iterdir()) - before:
            break
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    process.wait()


def finish(folder, on_cpu):
    resume_run(
        folder, {}, None, replace(on_cpu, checkpoint_every=1, evaluate_every=10), say_nothing
    )


def test_a_killed_run_goes_on_as_if_nothing_had_happened(command, whole, on_cpu, tmp_path):
    kill_at_some_moment(command, tmp_path / "run", random.random() / 3)
    finish(tmp_path / "run", on_cpu)
    assert_same_runs(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_run_killed_at_many_moments_goes_on_too(command, whole, on_cpu, tmp_path):
    for _ in range(6):
        kill_at_some_moment(command, tmp_path / "run", random.random() / 2)
    finish(tmp_path / "run", on_cpu)
    assert_same_runs(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_run_from_old_weights_starts_over_with_them(run_folder, shards_folder, on_cpu, tmp_path):
    config = pretrain_config("tiny", steps=2, batch_size=2, precision="float32")
    for name in ("whole", "run"):
        out = tmp_path / name
        start_run(shards_folder, out, config, on_cpu, say_nothing, init_from=run_folder)
    for name in ("checkpoints", "hf"):
        shutil.rmtree(tmp_path / "run" / name)
    resume_run(tmp_path / "run", {}, None, on_cpu, say_nothing)
    assert_same_runs(tmp_path / "run", tmp_path / "whole")
