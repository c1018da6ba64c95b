"""The command `glue`: what it prints, what it leaves, and which options do not go together."""

import re

import pytest

from tests.commands import one_line
from tests.commands import run as command
from tests.train.glue.test_own import make_task

QUICK = ("--epochs", "1", "--device", "cpu")


def run_glue(*arguments):
    return command("glue", *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seeds", "0"],
        ["--recipe", "best"],
        ["--from-task", "qnli"],
        ["--memory", "much"],
        ["--task", "mine", "--tasks", "cola"],
        ["--task", "mine", "--resume"],
        ["--task", "mine", "--from", "x"],
        ["--tasks", "colla"],
    ],
)
def test_a_wrong_option_ends_with_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_glue("run", *arguments)
    assert result.exit_code == 2, result.output
    assert list(tmp_path.iterdir()) == []


def test_results_lie_in_the_run_and_are_gone_on_with(run, source, tmp_path):
    out = tmp_path / "out"
    options = (run, "--tasks", "cola", "--data", tmp_path / "data", "--out", out, *QUICK)
    result = run_glue(*options, "--from", source, "--seeds", 1)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert f"all of it: {out / 'results.md'}" in lines
    assert lines[-1] == f"next: python cli.py glue {run} --task FOLDER"
    again = one_line(run_glue(*options, "--seeds", 1))
    assert "is there already: go on with it by --resume" in again
    resumed = run_glue(*options, "--seeds", 1, "--resume", "--quiet")
    assert resumed.output.splitlines()[0].startswith("| task | metric ")


def test_a_task_of_one_s_own_is_fine_tuned_on(run, tmp_path):
    folder, out = make_task(tmp_path / "mine", "classification", rows=8), tmp_path / "model"
    options = (run, "--task", folder, "--out", out, *QUICK, "--quiet")
    result = run_glue(*options)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("| split | metric ")
    assert re.fullmatch(r"\w+ForSequenceClassification -> .*model", lines[-2])
    assert lines[-1] == f"next: python cli.py glue {run}"
    assert (out / "model.safetensors").is_file()
    assert one_line(run_glue(*options)).startswith(f"{out} is there already: choose")


def test_without_out_the_model_lies_in_the_run(run, tmp_path):
    folder = make_task(tmp_path / "mine", "regression", rows=8)
    assert run_glue(run, "--task", folder, *QUICK).exit_code == 0
    assert (run / "tasks" / "mine" / "model.safetensors").is_file()
