"""`run_glue` from a model to results, and what it refuses before training."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shards.errors import DataError
from tests.train.glue.made import counts
from tests.train.glue.runs import SHORT, files_of, glue, write_tasks, written
from tests.train.glue.toy import LONGEST
from train.glue.config import GlueConfig
from train.glue.table import table
from train.glue.training import Console


def test_a_separable_task_is_learnt_and_the_results_are_written(run, source, tmp_path):
    config = GlueConfig(seeds=1, epochs=12, batch_size=8, learning_rate=5e-3)
    results = glue(run, tmp_path, tasks=["cola", "sst2"], source_path=source, config=config)
    cola, sst2 = results.tasks
    assert sst2.values("pretrained", "dev", "accuracy") == [1.0]
    assert min(sst2.values("random", "dev", "accuracy")) > 0.9
    assert sst2.majority == {"dev": {"accuracy": pytest.approx(2 / 3)}}
    assert min(cola.values("pretrained", "dev", "matthews")) > 0.9
    assert cola.majority == {"dev": {"matthews": 0.0}}
    assert cola.counts["train"] == counts(60, official=8551)

    document = written(tmp_path)
    assert [task["task"] for task in document["tasks"]] == ["cola", "sst2"]
    assert document["tasks"][1]["summary"]["pretrained"]["dev accuracy"]["median"] == 1.0
    page = (tmp_path / "out" / "results.md").read_text()
    assert table(results) in page
    assert "60 of 8,551 (partial)" in page
    assert sorted(path.name for path in (tmp_path / "out" / "predictions").iterdir()) == [
        *("cola-dev-seed-0.tsv", "sst2-dev-seed-0.tsv"),
    ]


def stop_after(patch, updates):
    """Let Ctrl-C come in the update after so many."""
    clip, done = torch.nn.utils.clip_grad_norm_, iter(range(1000))

    def clip_or_stop(*arguments, **named):
        if next(done) == updates:
            raise KeyboardInterrupt
        return clip(*arguments, **named)

    patch.setattr("torch.nn.utils.clip_grad_norm_", clip_or_stop)


PIECES = {
    "tasks": ["cola", "stsb"],
    "config": replace(SHORT, seeds=2, keep="best"),
    "with_submission": True,
}
"""CoLA takes 2 updates for each seed and model, STS-B in both orders 3."""


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """Make the results of a run without a break."""
    folder = tmp_path_factory.mktemp("whole")
    tasks = write_tasks(folder / "source", ("cola", "stsb"))
    glue(run, folder, source_path=tasks, **PIECES)
    return folder


SLOW = [pytest.param(updates, marks=pytest.mark.slow) for updates in (2, 5, 8)]


@pytest.mark.parametrize("updates", [1, 7, 12, *SLOW])
def test_a_run_in_pieces_equals_one_without_a_break(run, whole, tmp_path, monkeypatch, updates):
    options = PIECES | {"data": whole / "data"}
    with monkeypatch.context() as patch:
        stop_after(patch, updates)
        with pytest.raises(KeyboardInterrupt):
            glue(run, tmp_path, **options)
    kept = written(tmp_path)["tasks"] if updates > 1 else []
    glue(run, tmp_path, resume=True, **options)
    assert files_of(tmp_path / "out") == files_of(whole / "out")
    for before, after in zip(kept, written(tmp_path)["tasks"], strict=False):
        for model in ("pretrained", "random"):  # to the same second: not trained again
            assert after[model][: len(before[model])] == before[model]


def test_tasks_and_seeds_can_be_added_later(run, whole, tmp_path):
    options = PIECES | {"data": whole / "data"}
    one = replace(options["config"], seeds=1)
    glue(run, tmp_path, **(options | {"tasks": ["stsb"], "config": one}))
    said = []
    console = Console(said.append, quiet=True)
    glue(run, tmp_path, resume=True, **(options | {"tasks": ["stsb"]}), console=console)
    assert said[0] == "stsb: kept, 2 trainings left"
    glue(run, tmp_path, resume=True, **options)
    assert files_of(tmp_path / "out") == files_of(whole / "out")


KILLED = """
import os, sys
from pathlib import Path
import torch
from tests.train.glue.runs import glue
from tests.train.glue.test_run import PIECES
torch.set_num_threads(1)
clip, done = torch.nn.utils.clip_grad_norm_, iter(range(1000))
def clip_or_die(*arguments, **named):
    if next(done) == 7:
        os.kill(os.getpid(), 9)
    return clip(*arguments, **named)
torch.nn.utils.clip_grad_norm_ = clip_or_die
glue(Path(sys.argv[1]), Path(sys.argv[2]), data=Path(sys.argv[3]), **PIECES)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_been(run, whole, tmp_path):
    command = [sys.executable, "-c", KILLED, run, tmp_path, whole / "data"]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)
    assert killed.returncode == -9
    glue(run, tmp_path, resume=True, **PIECES, data=whole / "data")
    assert files_of(tmp_path / "out") == files_of(whole / "out")


def test_keeping_models_changes_no_score_and_the_best_is_said_to_be_chosen(run, whole, tmp_path):
    config = replace(PIECES["config"], keep="none")
    glue(run, tmp_path, **(PIECES | {"config": config, "data": whole / "data"}))
    kept, without = files_of(whole / "out"), files_of(tmp_path / "out")
    assert [task["pretrained"] for task in kept["results.json"]["tasks"]] == [
        task["pretrained"] for task in without["results.json"]["tasks"]
    ]
    assert not [name for name in without if name.startswith("models/")]
    chosen = json.loads(kept["models/cola-seed-1/best/chosen.json"])
    assert chosen["epoch"] == 1 + chosen["epochs"].index(max(chosen["epochs"]))
    assert (chosen["chosen_on"], chosen["metric"]) == ("dev", "matthews")
    assert {name.split("/")[1] for name in kept if name.startswith("models/")} == {
        *("cola-seed-0", "cola-seed-1", "stsb-seed-0", "stsb-seed-1"),
    }


def test_a_kept_model_is_what_was_scored(run, whole):
    transformers = pytest.importorskip("transformers")
    folder = whole / "out" / "models" / "cola-seed-1" / "last"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    file = str(folder / "tokenizer.json")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=file)
    dev = whole / "data" / "glue" / "CoLA" / "dev.tsv"
    texts = [line.split("\t")[3] for line in dev.read_text().splitlines()]
    with torch.no_grad():
        logits = [model(**tokenizer(text.strip(), return_tensors="pt")).logits for text in texts]
    lines = (whole / "out/predictions/cola-dev-seed-1.tsv").read_text().splitlines()[1:]
    names = [model.config.id2label[int(one.argmax())] for one in logits]
    assert [line.split("\t")[2] for line in lines] == names


def test_mnli_is_trained_first_and_others_begin_with_its_encoder(run, tmp_path, monkeypatch):
    source = write_tasks(tmp_path / "source", ("mnli", "rte", "wnli", "ax"))
    config = replace(SHORT, from_task="mnli")
    options = {"tasks": ["rte", "wnli"], "config": config, "with_submission": True}
    said = []
    whole = glue(
        run, tmp_path, source_path=source, **options, console=Console(said.append, quiet=True)
    )
    assert [line.split(":")[0] for line in said if "accuracy" in line] == [
        f"{task} {model} seed 0"
        for task in ("mnli", "rte", "wnli")
        for model in ("pretrained", "random twin")
    ]
    assert [task.task for task in whole.tasks] == ["mnli", "rte", "wnli"]
    models = tmp_path / "out" / "models"
    assert sorted(path.name for path in models.iterdir()) == ["mnli-random-seed-0", "mnli-seed-0"]
    with zipfile.ZipFile(tmp_path / "out" / "submission.zip") as archive:
        assert archive.namelist() == ["MNLI-m.tsv", "MNLI-mm.tsv", "RTE.tsv", "WNLI.tsv", "AX.tsv"]

    with monkeypatch.context() as patch:
        stop_after(patch, 5)  # in RTE
        with pytest.raises(KeyboardInterrupt):
            glue(run, tmp_path, out="pieces", **options)
    glue(run, tmp_path, out="pieces", resume=True, **options)
    assert files_of(tmp_path / "pieces") == files_of(tmp_path / "out")


def test_an_encoder_of_mnli_that_is_gone_is_named(run, tmp_path):
    source = write_tasks(tmp_path / "source", ("mnli", "rte"))
    config = replace(SHORT, from_task="mnli", baseline="none")
    glue(run, tmp_path, source_path=source, tasks=["mnli"], config=config)
    shutil.rmtree(tmp_path / "out" / "models")
    with pytest.raises(DataError, match=r"mnli-seed-0/last is gone, with which rte is to begin"):
        glue(run, tmp_path, tasks=["rte"], config=config, resume=True)


def test_a_task_begun_from_mnli_has_its_encoder_and_a_new_head(run, tmp_path):
    write_tasks(tmp_path / "source", ("mnli",), rows=60)
    write_tasks(tmp_path / "source", ("rte",), rows=4)
    config = replace(SHORT, batch_size=4, learning_rate=1e-3, from_task="mnli", keep="last")
    glue(run, tmp_path, source_path=tmp_path / "source", tasks=["rte"], config=config)
    models = tmp_path / "out" / "models"
    folders = run / "hf", models / "mnli-seed-0" / "last", models / "rte-seed-0" / "last"
    before, mnli, rte = (load_file(folder / "model.safetensors") for folder in folders)
    for name in [name for name in rte if name.endswith("ffn.weight")]:
        start = next(one for key, one in before.items() if name.endswith(key.split("albert.")[-1]))
        moved = (mnli[name] - start).norm()
        assert moved > 3 * (rte[name] - mnli[name]).norm() > 0  # 15 updates, and one
    assert len(mnli["classifier.weight"]) == 3
    assert len(rte["classifier.weight"]) == 2


def test_fewer_training_rows_are_drawn_and_named(run, source, tmp_path):
    results = glue(run, tmp_path, source_path=source, config=replace(SHORT, max_train_rows=32))
    assert results.tasks[0].counts["train"].rows == 32
    assert "32 of 8,551 (partial; capped, 60 there)" in table(results)


def test_without_twin_there_is_none(run, source, tmp_path):
    results = glue(run, tmp_path, source_path=source, config=replace(SHORT, baseline="none"))
    assert results.tasks[0].random == ()
    assert "its random twin" not in (tmp_path / "out" / "results.md").read_text()


def test_results_that_are_there_are_not_overwritten(run, source, tmp_path):
    glue(run, tmp_path, source_path=source)
    before = files_of(tmp_path / "out")
    with pytest.raises(
        DataError, match=r"results\.json is there already: go on with it by --resume"
    ):
        glue(run, tmp_path)
    with pytest.raises(DataError, match="made with recipe 'electra', not 'sane'"):
        glue(run, tmp_path, resume=True, config=replace(SHORT, recipe="sane"))
    assert files_of(tmp_path / "out") == before


def test_results_of_another_model_are_not_gone_on_with(run, source, tmp_path):
    glue(run, tmp_path, source_path=source)
    other = tmp_path / "other"
    shutil.copytree(run / "hf", other)
    tensors = load_file(other / "model.safetensors")
    (name,) = (key for key in tensors if key.endswith("embeddings.word_embeddings.weight"))
    save_file({**tensors, name: tensors[name] + 1}, other / "model.safetensors")
    with pytest.raises(DataError, match=r"made with the model .*, not .*other .*: choose another"):
        glue(other, tmp_path, resume=True)
    moved = shutil.copytree(run / "hf", tmp_path / "moved")
    assert len(glue(moved, tmp_path, resume=True).tasks) == 1  # the same weights
    text = (moved / "tokenizer.json").read_text()
    (moved / "tokenizer.json").write_text(text.replace('"tree": 11', '"trees": 11'))
    with pytest.raises(DataError, match="made with the model"):
        glue(moved, tmp_path, resume=True)


def test_results_of_other_data_are_not_mixed(run, source, tmp_path):
    glue(run, tmp_path, source_path=source)
    shutil.rmtree(tmp_path / "data")
    with (source / "CoLA" / "dev.tsv").open("a") as file:
        file.write("\ngj04\t1\t\tgood cat\n")
    with pytest.raises(DataError, match=r"cola in .* with CoLA/dev\.tsv .*: choose another --out"):
        glue(run, tmp_path, source_path=source, tasks=["sst2"], resume=True)


def test_missing_data_names_the_command_and_leaves_nothing(run, tmp_path):
    with pytest.raises(DataError, match=r"run `python cli.py fetch glue` first"):
        glue(run, tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_task_that_was_not_unpacked_is_named(run, source, tmp_path):
    with pytest.raises(DataError, match=r"lacks the tasks mrpc: .* `--tasks cola`"):
        glue(run, tmp_path, source_path=source, tasks=["cola", "mrpc"])


def test_an_edited_file_is_refused(run, source, tmp_path):
    glue(run, tmp_path, source_path=source)
    (tmp_path / "data" / "glue" / "CoLA" / "dev.tsv").write_text("gj04\t1\t\tgood\n")
    with pytest.raises(DataError, match=r"dev\.tsv is not as it was unpacked"):
        glue(run, tmp_path, resume=True)


def test_rows_are_as_long_as_the_model_takes(run, source, tmp_path):
    assert glue(run, tmp_path, source_path=source).config["max_length"] == LONGEST
    with pytest.raises(DataError, match=r"--max-length 21 is more than the 20 .* --max-length 20"):
        glue(run, tmp_path, out="other", config=replace(SHORT, max_length=21))


def test_a_run_without_an_export_is_named(tmp_path):
    with pytest.raises(DataError, match="no exported model at "):
        glue(tmp_path / "runs", tmp_path)


def test_missing_packages_are_told_before_training(run, source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(DataError, match=r'run `pip install -e "\.\[glue\]"`'):
        glue(run, tmp_path, source_path=source)
