import json
import re
import shutil
import sys

import pytest

from shards.errors import DataError
from tests.train.glue.made import glue_results, task_results
from tests.train.report.made import metrics
from tests.train.report.reading import Reading
from train.guessing import Guessing
from train.report.curves import MOST_BUCKETS, Curves
from train.report.page import page
from train.report.panels import MACHINE, charts
from train.report.runs import ReportedRun, all_settings, differing, read_runs
from train.report.write import write_report
from train.runs import load_run
from train.stages import Stage

STAGES = (Stage(32, 0.6, 8), Stage(64, 0.4))


def read(*folders):
    return Reading(page(read_runs(folders)))


def assert_stands_alone(reading):
    """Nothing outside the file is needed, and nothing runs in it."""
    assert all(one.startswith("#") for one in reading.references)
    assert {one[1:] for one in reading.references} <= {one["id"] for one in reading.all("section")}
    assert not {"script", "link", "img", "iframe", "object"} & {name for name, _ in reading.tags}
    assert not any(key.startswith("on") for _, found in reading.tags for key in found)
    assert "url(" not in reading.style
    assert "@import" not in reading.style
    (viewport,) = [one for one in reading.all("meta") if one.get("name") == "viewport"]
    assert "width=device-width" in viewport["content"]


def titles(reading):
    return [one["aria-label"] for one in reading.all("svg") if one.get("role") == "img"]


def test_a_trained_run_has_every_part_but_glue(run_folder):
    reading = read(run_folder)
    assert_stands_alone(reading)
    assert list(reading.sections) == [
        *("overview", "learning", "machine", "samples", "data", "configuration")
    ]
    assert "done, step 6 of 6" in reading.sections["overview"]
    assert "guessing tokens by frequency has a loss of" in reading.sections["overview"]
    assert titles(reading)[:3] == [
        "tokens hidden by [MASK]: loss in nats",
        "masked tokens: loss in nats",
        "masked tokens: accuracy",
    ]
    assert "replaced tokens: area under ROC" in titles(reading)
    for words in ("always answering the base rate", "guessing by frequency", "chance", "held out"):
        assert words in reading.sections["learning"]
    assert "norm of the gradient" in reading.sections["machine"]
    assert "step 2" in reading.sections["samples"]
    assert "step 6" in reading.sections["samples"]
    assert reading.sections["samples"].index("step 6") < reading.sections["samples"].index("step 2")
    assert " % · " in reading.sections["samples"]
    assert len(reading.all("code")) > 4
    assert len(reading.all("mark")) > 4
    assert "tokens kept" in reading.sections["data"]
    assert any(title.startswith("tokens by source") for title in titles(reading))
    assert any(title.startswith("runs of masked words") for title in titles(reading))
    assert any(title.startswith("tokens in rows of 64") for title in titles(reading))
    assert "1\N{EN DASH}2" in reading.sections["data"]
    assert "config.learning_rate" in reading.sections["configuration"]
    assert "What differs" not in reading.text


def test_shards_that_are_gone_leave_out_what_only_they_know(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shards": "/nowhere"}))
    reading = read(tmp_path / "run")
    assert "What guessing by frequency costs is not known" in reading.sections["overview"]
    assert "Lengths of rows are not known" in reading.sections["data"]
    assert "tokens kept" in reading.sections["data"]
    assert "guessing by frequency" not in reading.sections["learning"]
    shutil.rmtree(tmp_path / "run" / "shards")
    assert "manifest is not known" in read(tmp_path / "run").sections["data"]


def test_several_runs_are_overlaid_and_told_apart(make_run):
    one = make_run("a/one", metrics(40, 20))
    other = make_run("one-b", metrics(60), learning_rate=0.01)
    reading = read(one, other)
    assert_stands_alone(reading)
    assert {"line c0", "line c1"} <= {found["class"] for found in reading.all("path")}
    assert not reading.all("path", "band")
    assert "What differs" in reading.sections["configuration"]
    differs = reading.sections["configuration"].split("All")[0]
    assert "config.learning_rate" in differs
    assert "config.optimizer" not in differs
    assert "What only some have" not in reading.text
    assert "Nothing was evaluated on held-out rows yet" in reading.sections["overview"]
    assert "not done, step 40 of 100" in reading.sections["overview"]


def test_only_what_differs_is_named(make_run):
    runs = [
        load_run(make_run("a", metrics(1))),
        load_run(make_run("b", metrics(1), seed=3, optimizer="muon", learning_rate=0.5)),
    ]
    every = all_settings(runs)
    assert differing(every) == {
        "config.learning_rate": [str(runs[0].config.learning_rate), "0.5"],
        "config.optimizer": ["adamw", "muon"],
        "config.seed": ["0", "3"],
    }
    assert every["model.network.hidden_size"][0] == every["model.network.hidden_size"][1]
    assert differing(all_settings(runs[:1])) == {}


def test_what_differs_is_short_and_as_a_person_writes_it(make_run):
    runs = [make_run("a", metrics(1)), make_run("b", metrics(1), stages=STAGES)]
    every = all_settings([load_run(run) for run in runs])
    assert differing(every) == {"config.stages": ["none", "32x8:0.6,64:0.4"]}
    assert every["fingerprint"] == ["f" * 12, "f" * 12]


def test_a_loss_that_has_no_panel_is_shown_as_the_sum(make_run):
    alone = {"step": 1, "loss": 2.0, "another_loss": 2.0}
    made = write_report([make_run("run", [alone])])
    assert titles(Reading(made.page.read_text())) == ["the sum of all losses, weighted"]
    known = alone | {"masked_language_model_loss": 2.0}
    del known["another_loss"]
    assert titles(read(make_run("known", [known]))) == ["masked tokens: loss in nats"]


def test_most_memory_is_that_of_all_steps_though_a_resume_counts_anew(make_run):
    lines = [line | {"peak_memory": 10**9 // line["step"]} for line in metrics(4)]
    folder = make_run("run", lines)
    assert "most memory1.0 GB" in read(folder).sections["overview"]
    (chart,) = [one for one in charts(read_runs([folder]), MACHINE) if "memory" in one.title]
    assert list(chart.lines[0].y) == [1.0] * 4


def test_hours_are_written_as_a_person_does(make_run):
    folder = make_run("run", metrics(4), hours=1 / 6)
    assert "step 4, 10 min planned" in read(folder).sections["overview"]
    assert write_report([folder]).table.startswith("step 4 in 10 min, ")


def test_results_of_another_version_are_no_reason_to_delete_them(make_run):
    folder = make_run("run", metrics(4))
    (folder / "glue").mkdir()
    (folder / "glue" / "results.json").write_text('{"results_version": 1}')
    reading = read(folder)
    assert "is of version 1, this Hearth reads" in reading.sections["glue"]
    assert "delete" not in reading.sections["glue"]
    assert "GLUE, average of eightcannot be read" in reading.sections["overview"]


def test_networks_of_two_kinds_are_compared_where_they_can_be(make_run):
    pair, alone = make_run("pair", metrics(2)), make_run("alone", metrics(2), preset="bert-tiny")
    every = all_settings([load_run(pair), load_run(alone)])
    assert every["model.network.vocab_size"] == ["600", "600"]
    assert every["model.generator.vocab_size"] == ["600", "-"]
    text = read(pair, alone).sections["configuration"]
    differs, some, _ = re.split("What only some have|All", text)
    assert "model.network.initializer_range" in differs
    assert "model.generator" not in differs
    assert "model.generator.vocab_size600-" in some


def test_runs_of_the_same_name_are_told_apart_by_their_folders(make_run):
    folders = [make_run("a/x", metrics(2)), make_run("b/x", metrics(2))]
    assert [run.name for run in read_runs(folders)] == ["a/x", "b/x"]
    with pytest.raises(DataError, match=r"x is given twice: name each run once"):
        read_runs([folders[0], folders[0]])


def test_glue_stands_beside_published_models(make_run):
    folder = make_run("run", metrics(4))
    glue_results(task_results("rte", (0.6, 0.7, 0.8), (0.5,))).write(folder / "glue")
    reading = read(folder)
    assert "70.0 (60.0..80.0)" in reading.sections["glue"]
    assert "ELECTRA-Small-OWT" in reading.sections["glue"]
    assert "random twin of run" in reading.sections["glue"]
    assert "not all eight" in reading.sections["overview"]
    (folder / "glue" / "results.json").write_text("{")
    assert "cannot be read as results" in read(folder).sections["glue"]


def test_a_name_and_samples_are_text_and_nothing_else(make_run, run_folder):
    folder = make_run("<script>alert(1)<&'", metrics(4))
    shutil.copytree(run_folder / "tokenizer", folder / "tokenizer")
    shutil.copy(run_folder / "samples.jsonl", folder)
    reading = read(folder)
    assert_stands_alone(reading)
    assert "<script>alert(1)<&'" in reading.text
    assert "samples" in reading.sections


@pytest.mark.parametrize(
    "line", ['{"step": 2}', '{"step": 2, "objective": "x", "rows": []}', '{"step": 2, "rows": 5}']
)
def test_samples_that_training_did_not_write_are_named(make_run, line):
    folder = make_run("run", metrics(4))
    (folder / "samples.jsonl").write_text(line + "\n")
    (folder / "tokenizer").mkdir()
    assert "is not what training writes at step 2" in read(folder).sections["samples"]


def test_a_run_in_training_may_end_within_a_line(make_run):
    folder = make_run("run", metrics(30, 10))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 31, "max_le')
    reading = read(folder)
    assert "not done, step 30 of 100" in reading.sections["overview"]
    assert "samples" not in reading.sections


def test_a_spoilt_line_amid_others_is_counted(make_run):
    folder = make_run("run", metrics(9))
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join([*lines[:4], "\0\0\n", *lines[5:]]))
    assert "steps without a line in the metrics1" in read(folder).sections["overview"]


def test_a_run_without_a_step_and_a_folder_without_a_run_are_named(make_run, tmp_path):
    folder = make_run("run", [])
    with pytest.raises(DataError, match=r"has no step yet: train it with `python cli.py pretrain"):
        read_runs([folder])
    with pytest.raises(DataError, match=f"no run at {tmp_path}"):
        read_runs([tmp_path])


@pytest.mark.slow
def test_a_long_run_makes_a_small_page(make_run):
    run, curves = load_run(make_run("run", [], steps=200_000)), Curves()
    for line in metrics(200_000, 100):
        curves.add(line)
    curve = curves.training["loss"]
    assert MOST_BUCKETS // 2 <= len(curve) <= MOST_BUCKETS
    assert curve.counts.sum() == 200_000
    text = page([ReportedRun(run, "run", curves, None, {64: Guessing(6.5, 0.05)})])
    assert len(text.encode()) < 1_000_000
    assert "done, step 200,000 of 200,000" in Reading(text).sections["overview"]


def test_the_files_and_the_table_are_written(make_run, tmp_path, monkeypatch):
    folder = make_run("run", metrics(60, 20))
    made = write_report([folder])
    assert made.page == folder / "report.html"
    assert made.picture == folder / "curves.png"
    assert made.picture.read_bytes().startswith(b"\x89PNG")
    assert made.table.startswith("step 60 of 100, ")
    assert "masked language model loss" in made.table
    assert made.notes == ()
    monkeypatch.chdir(tmp_path)
    both = write_report([folder, make_run("$other_$", metrics(3))])
    assert both.page.resolve() == tmp_path / "report" / "report.html"
    assert both.table.startswith("run\nstep 60")
    assert "\n\n$other_$\nstep 3 of 100" in both.table
    assert write_report([folder], tmp_path / "out").page == tmp_path / "out" / "report.html"


def test_without_matplotlib_the_page_is_written_and_says_so(make_run, monkeypatch):
    folder = make_run("run", metrics(4))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    made = write_report([folder])
    line = "no curves.png: matplotlib is not installed (pip install -e '.[watch]')"
    assert made.notes == (line,)
    assert made.picture is None
    assert line in Reading(made.page.read_text()).sections["overview"]
