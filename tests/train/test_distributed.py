"""Several processes: the result of one, one writer, and no process that is left waiting."""

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from click.testing import CliRunner
from safetensors.torch import load_file

from cli import main
from model import presets
from shards.errors import DataError
from train.crew import Alone, join_crew
from train.distributed import BUCKET_BYTES, Group, _exchange
from train.metrics import read_metrics

ROOT = Path(__file__).parents[2]
START = Path(__file__).with_name("start_small.py")
STEPS = 8
OPTIONS = ["--preset", "bert-tiny", "--batch-size", "7", "--precision", "float32", "--seed", "1"]
HOW = ["--device", "cpu", "--checkpoint-every", "4", "--quiet"]
NEW = [*OPTIONS, "--steps", str(STEPS), "--learning-rate", "1e-3", *HOW]
SUMMED = ("loss", "grad_norm", "masked_language_model_loss", "masked_language_model_accuracy")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


class Job:
    """A command that runs, by torchrun in two processes or in one."""

    def __init__(self, folder, *words, processes=2, pause=0.0):
        folder.mkdir(exist_ok=True)
        self.pids = folder
        launcher = [*TORCHRUN, "--master-port", "0", "--standalone"]
        command = launcher if processes == 2 else [sys.executable]
        command = [*command, str(START), str(folder), str(pause), *map(str, words)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.child = subprocess.Popen(command, env=environment, cwd=ROOT, text=True, **pipes)

    def wait(self):
        """Return exit status, stdout and stderr; a job that hangs fails the test."""
        try:
            out, errors = self.child.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.child.kill()
            for name in ("0", "1"):
                os.kill(self.pid(name), signal.SIGKILL)
            raise
        return self.child.returncode, out, errors

    def pid(self, process):
        return int((self.pids / str(process)).read_text())


def losses(folder):
    lines = list(read_metrics(folder / "metrics.jsonl"))
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [{name: line[name] for name in SUMMED} for line in lines]


def assert_alike(one, other):
    """Compare losses of all steps and the weights, but for the order of sums."""
    first, second = losses(one), losses(other)
    assert len(first) == len(second) == STEPS
    for mine, its in zip(first, second, strict=True):
        assert mine == pytest.approx(its, rel=2e-4, abs=1e-5)
    newest = f"checkpoints/step-{STEPS:07d}/model.safetensors"
    weights, others = load_file(one / newest), load_file(other / newest)
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, shards_folder):
    """Return the run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    before = presets.PRESETS["bert-tiny"]
    runpy.run_path(str(START))["shrink"]()
    words = ["pretrain", "--shards", str(shards_folder), "--out", str(folder), *NEW]
    result = CliRunner().invoke(main, words)
    presets.PRESETS["bert-tiny"] = before
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.slow
def test_two_processes_train_the_model_of_one_and_one_of_them_speaks(
    alone, shards_folder, tmp_path
):
    words = ["pretrain", "--shards", shards_folder, "--out", tmp_path / "run", *NEW]
    status, out, errors = Job(tmp_path, *words).wait()
    assert status == 0, errors
    assert_alike(tmp_path / "run", alone)
    last = list(read_metrics(tmp_path / "run" / "metrics.jsonl"))[-1]
    assert last["validation"]["masked_language_model_loss"] > 0
    assert out.count("7 in an update") == out.count("next: ") == 1
    assert len(list((tmp_path / "run").glob("events*"))) <= 1
    assert (tmp_path / "run" / "hf" / "config.json").is_file()


@pytest.mark.slow
def test_a_refused_start_ends_both_and_is_told_once(shards_folder, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    words = ["pretrain", "--shards", shards_folder, "--out", tmp_path / "run", *NEW]
    status, out, errors = Job(tmp_path, *words).wait()
    assert status != 0
    assert errors.count("is not empty: choose another --out") == 1
    assert "7 in an update" not in out
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine"]


def wait_for(path):
    end = time.monotonic() + 90
    while not path.exists():
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("process", [0, 1])
def test_a_job_of_which_one_is_killed_ends_and_one_goes_on_alone(
    alone, shards_folder, tmp_path, process
):
    words = ["pretrain", "--shards", shards_folder, "--out", tmp_path / "run", *NEW]
    job = Job(tmp_path, *words, pause=0.3)
    wait_for(tmp_path / "run" / "checkpoints" / "step-0000004")
    os.kill(job.pid(process), signal.SIGKILL)
    status, _, errors = job.wait()
    assert status != 0
    assert errors.count("Traceback (most recent") == 1  # of torchrun itself
    if process == 1:
        assert errors.count("another process cannot be reached any more") == 1
    assert not (tmp_path / "run" / "hf").exists()
    words = ["pretrain", "--resume", "--out", tmp_path / "run", *HOW]
    status, out, errors = Job(tmp_path, *words, processes=1).wait()
    assert status == 0, errors
    assert "going on after step 4" in out
    assert_alike(tmp_path / "run", alone)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [(1,), (0, 1)])
def test_a_request_to_any_stops_all_after_the_same_step_and_two_go_on(
    alone, shards_folder, tmp_path, asked
):
    words = ["pretrain", "--shards", shards_folder, "--out", tmp_path / "run", *NEW]
    job = Job(tmp_path, *words, pause=0.3)
    wait_for(tmp_path / "run" / "checkpoints" / "step-0000004")
    for process in asked:
        os.kill(job.pid(process), signal.SIGTERM)
    status, _, errors = job.wait()
    assert status != 0
    found = re.findall(r"stopped after step (\d), as asked", errors)
    assert len(found) == 1, errors
    assert (tmp_path / "run" / "checkpoints" / f"step-000000{found[0]}").is_dir()
    assert len(losses(tmp_path / "run")) == int(found[0]) < STEPS
    words = ["pretrain", "--resume", "--out", tmp_path / "run", *HOW]
    status, out, errors = Job(tmp_path, *words).wait()
    assert status == 0, errors
    assert out.count(f"going on after step {found[0]}") == 1
    assert_alike(tmp_path / "run", alone)


@pytest.mark.slow
def test_what_one_has_begun_two_finish_and_the_clock_is_one(alone, shards_folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(alone, run)
    shutil.rmtree(run / "hf")
    shutil.rmtree(run / "checkpoints" / f"step-{STEPS:07d}")
    status, _, errors = Job(tmp_path, "pretrain", "--resume", "--out", run, *HOW).wait()
    assert status == 0, errors
    assert_alike(run, alone)
    by_clock = [*OPTIONS, "--hours", str(2 / 3600), "--learning-rate", "1e-3", *HOW]
    words = ["pretrain", "--shards", shards_folder, "--out", tmp_path / "clock", *by_clock]
    status, _, errors = Job(tmp_path, *words, pause=0.05).wait()
    assert status == 0, errors
    lines = list(read_metrics(tmp_path / "clock" / "metrics.jsonl"))
    assert lines[-1]["seconds"] >= 2 > lines[-2]["seconds"]


@pytest.mark.slow
def test_more_processes_than_rows_are_refused_before_there_is_a_folder(shards_folder, tmp_path):
    words = ["pretrain", "--shards", shards_folder, "--out", tmp_path / "run", *NEW]
    status, _, errors = Job(tmp_path, *words, "--batch-size", "1").wait()
    assert status != 0
    assert errors.count("1 rows in an update, for 2 processes: start no more") == 1
    assert not (tmp_path / "run").exists()


def test_one_process_is_alone_and_imports_nothing_of_it():
    program = """
import os, sys, train.pretrain, train.crew as crew
for more in ({}, {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}):
    os.environ |= more
    with crew.join_crew("cpu") as found:
        print(type(found).__name__, "train.distributed" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Alone", "False"] * 2


def test_processes_that_do_not_find_each_other_say_so(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    said = r"do not find each other .*: start them with torchrun"
    with pytest.raises(DataError, match=said), join_crew("cpu"):
        pass
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(DataError, match="MASTER_ADDR"), join_crew("cpu"):
        pass
    assert not dist.is_initialized()


def test_tensors_of_any_type_and_shape_are_exchanged_in_place():
    tensors = [
        torch.arange(6.0).reshape(2, 3),
        torch.arange(4),
        torch.ones(3, 5).T,
        torch.tensor(7.0),
        torch.zeros(BUCKET_BYTES // 4),
        torch.ones(2, requires_grad=True),
    ]
    before = [one.detach().clone() for one in tensors]
    sent = []

    def double(flat):
        sent.append(flat.nbytes)
        flat.mul_(2)

    _exchange(tensors, double)
    for one, old in zip(tensors, before, strict=True):
        assert torch.equal(one, 2 * old)
    assert len(sent) == 3


def test_processes_share_no_device_of_which_there_is_one():
    group = Group(0, 2, 0, 2)
    with pytest.raises(DataError, match="2 processes cannot share an mps device"):
        group.place(torch.device("mps"))
    if torch.cuda.device_count() < 2:
        with pytest.raises(DataError, match="start torchrun with --nproc-per-node"):
            group.place(torch.device("cuda"))
    assert group.place(torch.device("cpu")) == Alone().place(torch.device("cpu"))
