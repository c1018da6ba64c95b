"""What a run's folder goes through: refused, locked, left and taken up; and runs by the clock."""

import errno
import json
import os
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from cli import main
from shards.errors import DataError
from train.checkpoint import write_checkpoint
from train.config import pretrain_config
from train.initial import make_model
from train.lock import lock_run
from train.loop import Trainer
from train.metrics import read_metrics
from train.precision import Precision
from train.pretrain import resume_run, start_run
from train.runs import load_run
from train.setup import new_trainer


def say_nothing(line):
    """Be silent."""


def make_trainer(run_folder, on_cpu, **changes):
    """Return a trainer of a run at step 0."""
    run = load_run(run_folder)
    run = replace(run, config=replace(run.config, **changes))
    exact, device = Precision(run.config.precision, ""), torch.device("cpu")
    return new_trainer(run, make_model(run.model), on_cpu, device, exact, say_nothing)


def weights(folder):
    return (folder / "hf" / "model.safetensors").read_bytes()


def six_minutes_each(trainer, steps):
    """Do steps as if each took six minutes; return where each took its rows."""
    places = []
    for _ in range(steps):
        pending = trainer.train_step()
        foreseen = trainer.ahead._foreseen
        trainer.state = replace(trainer.state, seconds=360.0 * trainer.state.step)
        following = trainer.find_position()
        if following.stage == pending.position.stage:
            assert foreseen[0] == (trainer.rows, following)
        places.append((pending.position.stage, pending.position.cursor))
        trainer.pending.append(pending)
    trainer.read_numbers()
    return places


def test_by_the_clock_each_step_has_its_own_rows_and_stages_change_across_a_resume_too(
    two_lengths, on_cpu, tmp_path
):
    stages = ({"max_length": 32, "share": 0.35}, {"max_length": 64, "share": 0.65})
    config = pretrain_config("tiny", steps=1, batch_size=4, precision="float32", stages=stages)
    start_run(two_lengths, tmp_path / "run", config, on_cpu, say_nothing)
    trainer = make_trainer(tmp_path / "run", on_cpu, hours=1.0)
    assert six_minutes_each(trainer, 6) == [(0, 0), (0, 4), (0, 8), (0, 12), (1, 0), (1, 2)]
    folder = write_checkpoint(tmp_path / "kept", trainer.snapshot())
    assert json.loads((folder / "state.json").read_text())["begun"] == [0, 4]
    resumed = make_trainer(tmp_path / "run", on_cpu, hours=1.0)
    resumed.load(folder)
    assert six_minutes_each(resumed, 2) == [(1, 4), (1, 6)]


def test_only_one_command_trains_in_a_folder(
    run_folder, shards_folder, small_config, on_cpu, tmp_path
):
    folder = tmp_path / "run"
    with lock_run(folder), pytest.raises(DataError, match=f"process {os.getpid()}.*: wait for"):
        start_run(shards_folder, folder, small_config, on_cpu, say_nothing)
    assert [path.name for path in folder.iterdir()] == ["run.lock"]
    shutil.copytree(run_folder, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "hf")
    before = (folder / "metrics.jsonl").read_bytes()
    with lock_run(folder), pytest.raises(DataError, match="another command"):
        resume_run(folder, {}, None, on_cpu, say_nothing)
    assert (folder / "metrics.jsonl").read_bytes() == before
    (folder / "checkpoints" / "step-0000003.partial").mkdir()
    resume_run(folder, {}, None, on_cpu, say_nothing)
    assert not (folder / "checkpoints" / "step-0000003.partial").exists()


def test_a_start_that_is_refused_leaves_no_folder(
    shards_folder, small_config, on_cpu, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    small = replace(on_cpu, memory=300_000_000)
    with pytest.raises(DataError, match="--memory is"):
        start_run(shards_folder, folder, small_config, small, say_nothing)
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    lamb = replace(small_config, optimizer="lamb")
    with pytest.raises(DataError, match="needs the package"):
        start_run(shards_folder, folder, lamb, on_cpu, say_nothing)
    assert not folder.exists()


def test_a_model_of_ones_own_has_no_limit_of_memory(
    run_folder, shards_folder, small_config, on_cpu, tmp_path
):
    model = make_model(load_run(run_folder).model)
    limited = replace(on_cpu, memory=10**9)
    with pytest.raises(ValueError, match="--memory is for presets"):
        start_run(shards_folder, tmp_path / "run", small_config, limited, say_nothing, model=model)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left"), "No space left: make room"),
        (KeyboardInterrupt(), "interrupted: "),
    ],
)
@pytest.mark.slow
def test_a_full_disk_and_ctrl_c_tell_how_to_go_on(
    shards_folder, small_config, on_cpu, tmp_path, monkeypatch, error, said
):
    def fail(self, *_):
        raise error

    folder = tmp_path / "a run"
    with monkeypatch.context() as patch:
        patch.setattr("train.loop.Trainer._save", fail)
        with pytest.raises(DataError, match=f"{said}.*go on with .*--resume --out '{folder}'"):
            start_run(shards_folder, folder, small_config, on_cpu, say_nothing)
        patch.setattr("train.runs.Run.write", fail)
        with pytest.raises(type(error)):
            start_run(shards_folder, tmp_path / "new", small_config, on_cpu, say_nothing)
    start_run(shards_folder, tmp_path / "new", small_config, on_cpu, say_nothing)
    resume_run(folder, {}, None, on_cpu, say_nothing)
    assert weights(folder) == weights(tmp_path / "new")


def test_ctrl_c_before_a_resume_trains_tells_how_to_go_on(run_folder, on_cpu, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("train.pretrain.load_run", interrupt)
    with pytest.raises(DataError, match=f"^interrupted: go on with .* --out {run_folder}`$"):
        resume_run(run_folder, {}, None, on_cpu, say_nothing)


def test_numbers_of_an_evaluation_that_json_has_no_word_for_are_null(
    shards_folder, small_config, on_cpu, tmp_path, monkeypatch
):
    monkeypatch.setattr(Trainer, "evaluate", lambda self: {"hidden_token_loss": float("inf")})
    start_run(shards_folder, tmp_path, small_config, on_cpu, say_nothing)
    lines = list(read_metrics(tmp_path / "metrics.jsonl"))
    assert lines[-1]["validation"] == {"hidden_token_loss": None}


@pytest.mark.slow
def test_a_resume_goes_on_with_the_options_of_before(shards_folder, tmp_path):
    folder = tmp_path / "run"
    new = ["--shards", str(shards_folder), "--preset", "tiny", "--steps", "2", "--batch-size", "4"]
    how = ["--micro-batch", "2", "--device", "cpu", "--checkpoint-every", "1", "--keep-every", "1"]
    words = ["pretrain", "--out", str(folder), "--precision", "float32"]
    assert CliRunner().invoke(main, [*words, *new, *how, "--quiet"]).exit_code == 0
    kept = json.loads((folder / "execution.json").read_text())
    assert (kept["micro_batch"], kept["keep_every"]) == (2, 1)
    shutil.rmtree(folder / "hf")
    shutil.rmtree(folder / "checkpoints" / "step-0000002")
    resume = ["pretrain", "--resume", "--out", str(folder)]
    result = CliRunner().invoke(main, [*resume, "--micro-batch", "4"])
    assert result.exit_code == 0, result.output
    said = "as before: --device cpu --checkpoint-every 1 --keep-every 1 --quiet\n"
    assert said in result.output
    kept |= {"micro_batch": 4}
    assert json.loads((folder / "execution.json").read_text()) == kept
    (folder / "execution.json").write_text('{"colour": "red"}')
    result = CliRunner().invoke(main, resume)
    assert result.exit_code == 1
    assert "delete it, and give the options again" in result.output


def test_a_halving_holds_for_rows_of_every_length(two_lengths, on_cpu, tmp_path):
    stages = ({"max_length": 32, "share": 0.5}, {"max_length": 64, "share": 0.5})
    config = pretrain_config("tiny", steps=2, batch_size=8, precision="float32", stages=stages)
    start_run(two_lengths, tmp_path / "run", config, on_cpu, say_nothing)
    trainer = make_trainer(tmp_path / "run", replace(on_cpu, micro_batch=6))
    forward, sizes = trainer.model.forward, []

    def small(input_ids, **batch):
        sizes.append(len(input_ids))
        if len(input_ids) > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return forward(input_ids, **batch)

    trainer.model.forward = small
    for _ in range(2):
        trainer.pending.append(trainer.train_step())
    assert sizes == [6, 3, 3, 2, *[1] * 4]
