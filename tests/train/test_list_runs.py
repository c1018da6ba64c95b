import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from model.configure import configure
from shards.errors import DataError
from tests.commands import one_line, run
from train.config import pretrain_config
from train.glue.published import EIGHT
from train.glue.results import GlueResults, SeedResult, SplitCounts, TaskResults
from train.list_runs import list_runs
from train.lock import LOCK_FILE, is_locked, lock_run
from train.runs import Run

LINE = {"loss": 30.0, "masked_language_model_loss": 6.0, "tokens_per_second": 1000.0}


def make_run(folder: Path, steps: int = 0, saved: int | None = None, **chosen) -> Path:
    """Write a run of a preset that has done some steps, and saved its weights after others."""
    folder.mkdir(parents=True)
    shape = {"vocab_size": 600, "max_position_embeddings": 64, "pad_token_id": 0}
    model = configure("tiny", **shape, mask_token_id=4)
    config = pretrain_config("tiny", **(chosen or {"steps": 8}))
    Run(folder, config, model, "shards", "0" * 64, {}).write()
    lines = [LINE | {"step": step + 1, "seconds": 36.0 * step} for step in range(steps)]
    if lines:
        lines[-1]["validation"] = {"masked_language_model_loss": 6.5, "hidden_token_loss": 7.0}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if saved is not None:
        checkpoint = folder / "checkpoints" / f"step-{saved:07d}"
        checkpoint.mkdir(parents=True)
        weights = {"a": np.zeros((3, 5), np.float32), "b": np.zeros(7, np.float32)}
        save_file(weights, checkpoint / "model.safetensors")
    return folder


def write_glue(folder: Path, count: int) -> None:
    """Write results on so many of the eight tasks, each a score of one half."""
    rows = SplitCounts(rows=4, in_file=4, official=4, skipped=0, truncated=0)
    results = GlueResults(model="x", digest="y", parameters=1, config={"seeds": 1})
    for name, split, metric, _ in EIGHT[:count]:
        scores = {split: {metric: 0.5}}
        seed = SeedResult(seed=0, scores=scores, device="cpu", precision="float32", seconds=1.0)
        counts = {"train": rows, split: rows}
        task = TaskResults(
            task=name, data={}, settings={}, counts=counts, majority=scores, pretrained=(seed,)
        )
        results = results.with_task(task)
    folder.mkdir()
    results.write(folder)


def only(folder: Path):
    (found,), others = list_runs(folder)
    assert others == []
    return found


def test_a_stopped_run_is_told_in_numbers(tmp_path):
    make_run(tmp_path / "runs" / "first", steps=5, saved=4)
    found = only(tmp_path / "runs")
    assert (found.preset, found.state, found.step, found.steps) == ("tiny", "stopped", 4, 8)
    assert (found.loss, found.held_out_loss, found.tokens_per_second) == (6.0, 6.5, 1000.0)
    assert found.parameters == 22
    assert found.bytes > 1000
    assert (found.glue, found.glue_tasks, found.problems) == (None, 0, ())


def test_the_states_of_a_run(tmp_path):
    folder = make_run(tmp_path / "run", steps=5)
    assert (only(tmp_path).state, only(tmp_path).step) == ("no checkpoint", 5)
    with lock_run(folder):
        assert (only(tmp_path).state, only(tmp_path).step) == ("training", 5)
    assert not is_locked(folder)
    assert (folder / LOCK_FILE).is_file()  # it means nothing by itself
    (folder / "hf").mkdir()
    (folder / "hf" / "config.json").write_text("{}")
    assert only(tmp_path).state == "finished"


def test_looking_at_a_lock_takes_it_from_nobody(tmp_path):
    with lock_run(tmp_path):
        assert is_locked(tmp_path)
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with lock_run(tmp_path):
        pass


def test_a_run_by_the_clock_has_hours(tmp_path):
    make_run(tmp_path / "run", steps=3, saved=3, hours=0.5)
    found = only(tmp_path)
    assert (found.hours, found.steps, found.seconds) == (0.5, None, 72.0)
    assert " 3, 1 min of 30 min " in run("runs", tmp_path).output


def test_hours_are_told_as_a_person_would(tmp_path):
    make_run(tmp_path / "run", steps=18, saved=18, hours=0.16667)
    assert " 18, 10 min of 10 min " in run("runs", tmp_path).output


def test_a_loss_that_ran_away_keeps_its_column_narrow(tmp_path):
    folder = make_run(tmp_path / "run")
    line = {"step": 1, "loss": 3e38, "tokens_per_second": 2e30}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    shown = run("runs", tmp_path).output
    assert " 3e+38 " in shown
    assert " 2e+30 " in shown


@pytest.mark.parametrize(("count", "mean", "text"), [(8, 0.5, " 50.0 "), (3, None, " 3 tasks ")])
def test_glue_is_an_average_of_eight_or_a_number_of_tasks(tmp_path, count, mean, text):
    folder = make_run(tmp_path / "run", steps=2, saved=2)
    write_glue(folder / "glue", count)
    found = only(tmp_path)
    assert (found.glue, found.glue_tasks) == (mean, count)
    assert text in run("runs", tmp_path).output


def test_the_newest_comes_first_and_what_is_amiss_is_named(tmp_path):
    for number, name in enumerate(("old", "new", "middle")):
        folder = make_run(tmp_path / name, steps=1, saved=1)
        for path in folder.rglob("*"):
            os.utime(path, (1e9 + 1000 * (number % 2) + number,) * 2)
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "old", broken)
    (broken / "run.json").write_text('{"run_version": 2')
    (tmp_path / "foreign").mkdir()
    (tmp_path / "note.txt").write_text("mine")
    damaged = tmp_path / "new" / "glue"
    damaged.mkdir()
    (damaged / "results.json").write_text("[]")
    os.utime(damaged / "results.json", (1e9, 1e9))
    result = run("runs", tmp_path)
    assert result.exit_code == 0, result.output
    title, *lines, following = result.output.splitlines()
    assert title.split()[:4] == ["run", "preset", "state", "step"]
    assert [Path(one.split()[0]).name for one in lines[:3]] == ["new", "middle", "old"]
    assert lines[3].startswith(f"not listed: {broken / 'run.json'} cannot be read")
    assert lines[4] == f"not listed: {tmp_path / 'foreign'} has no run.json: it is no run"
    assert lines[5].startswith(f"amiss: {damaged / 'results.json'} cannot be read")
    assert following == f"next: python cli.py pretrain --resume --out {tmp_path / 'new'}"


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 20, b"[" * 50, b'{"step": 3, "loss": 1, "seconds": "x"}\n']
)
def test_damaged_files_of_a_run_leave_holes_and_no_traceback(tmp_path, content):
    folder = make_run(tmp_path / "run", saved=2)
    (folder / "metrics.jsonl").write_bytes(content)
    (folder / "checkpoints" / "step-0000002" / "model.safetensors").write_bytes(content)
    found = only(tmp_path)
    assert (found.state, found.parameters, found.seconds) == ("stopped", None, None)
    assert run("runs", tmp_path).exit_code == 0


@pytest.mark.parametrize("name", ["step", "seconds", "masked_language_model_loss", "extra"])
def test_a_line_with_an_integer_beyond_float_is_damaged(tmp_path, name):
    folder = make_run(tmp_path / "run", steps=3)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 4, "loss": 2.0, "seconds": 9.0, name: 10**400}) + "\n")
    found = only(tmp_path)
    assert (found.step, found.seconds, found.loss) == (3, 72.0, 6.0)
    (folder / "metrics.jsonl").write_text(
        json.dumps(LINE | {"step": 1, "validation": {"masked_language_model_loss": 10**400}}) + "\n"
    )
    assert only(tmp_path).held_out_loss is None
    assert run("runs", tmp_path).exit_code == 0


@pytest.mark.parametrize("value", ["1.7e308", "NaN", "-Infinity"])
def test_no_loss_is_told_where_there_is_no_mean(tmp_path, value):
    folder = make_run(tmp_path / "run")
    lines = [f'{{"step": {step}, "loss": {value}}}\n' for step in range(1, 9)]
    (folder / "metrics.jsonl").write_text("".join([*lines, '{"step": 9, "loss": Infinity}\n']))
    assert only(tmp_path).loss is None
    assert run("runs", tmp_path).exit_code == 0


def following(folder: Path, command: str = "runs") -> str:
    """Return the command that the output of another ends with."""
    result = run(command, folder)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()[-1].removeprefix("next: python cli.py ")


def test_the_next_command_is_one_that_works(tmp_path):
    folder = make_run(tmp_path / "run")
    assert following(tmp_path) == f"pretrain --resume --out {folder}"
    with lock_run(folder):  # it trains, and `report` has nothing to show yet
        assert following(tmp_path) == f"runs {tmp_path}"
        (folder / "metrics.jsonl").write_text(json.dumps(LINE | {"step": 1}) + "\n")
        assert following(tmp_path) == f"report {folder}"
        assert following(folder, "report") == f"runs {tmp_path}"
    assert following(folder, "report") == f"pretrain --resume --out {folder}"
    (folder / "hf").mkdir()
    (folder / "hf" / "config.json").write_text("{}")
    assert following(tmp_path) == f"report {folder}"
    assert following(folder, "report") == f"play {folder}"


def test_own_networks_are_not_resumed_by_a_command(tmp_path):
    folder = make_run(tmp_path / "run", steps=1, saved=1)
    document = json.loads((folder / "run.json").read_text()) | {"model": None}
    (folder / "run.json").write_text(json.dumps(document))
    assert following(tmp_path) == f"report {folder}"
    assert following(folder, "report") == f"runs {tmp_path}"


def test_names_are_shown_without_moving_the_cursor(tmp_path):
    make_run(tmp_path / "a\x1b[2Jb\nc", steps=1, saved=1)
    (tmp_path / "foreign\x1b[31m").mkdir()
    result = run("runs", tmp_path)
    assert result.exit_code == 0
    _, line, other, last = result.output.splitlines()
    assert line.split()[0] == str(tmp_path / "a\\x1b[2Jb\\nc")
    assert str(tmp_path / "foreign\\x1b[31m") in other
    assert last == "next: python cli.py pretrain --preset tiny"
    assert "\x1b" not in result.output


def test_an_imported_model_is_listed(tmp_path):
    (tmp_path / "albert").mkdir()
    imported = {"source": "albert-base-v2", "classes": {"model": "AlbertForMaskedLM"}}
    (tmp_path / "albert" / "import.json").write_text(json.dumps(imported))
    found = only(tmp_path)
    assert (found.state, found.preset, found.step) == ("imported", "AlbertForMaskedLM", None)
    assert run("runs", tmp_path).exit_code == 0


def test_json_has_every_number_and_what_is_no_run(tmp_path):
    make_run(tmp_path / "run", steps=2, saved=2)
    (tmp_path / "foreign").mkdir()
    result = run("runs", tmp_path, "--json")
    document = json.loads(result.stdout)
    (listed,) = document["runs"]
    assert (listed["name"], listed["state"], listed["held_out_loss"]) == ("run", "stopped", 6.5)
    assert listed["changed"].endswith("+00:00")
    (other,) = document["others"]
    assert other["folder"] == str(tmp_path / "foreign")


def test_a_run_itself_may_be_named(tmp_path):
    make_run(tmp_path / "run", steps=2, saved=2)
    assert only(tmp_path / "run").folder == str(tmp_path / "run")


def test_no_runs_and_no_folder(tmp_path, monkeypatch):
    assert run("runs", tmp_path).output.splitlines()[0] == "no runs"
    monkeypatch.chdir(tmp_path)
    line = one_line(run("runs"))
    assert line.startswith("no folder at runs: begin a run with `python cli.py pretrain`")
    with pytest.raises(DataError):
        list_runs(tmp_path / "none")
