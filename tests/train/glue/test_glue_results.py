"""Results that a later run continues, and those that it must not touch."""

import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from shards.errors import DataError
from tests.train.glue.toy import SHORT, glue, written
from train.glue_results import GlueResults, Measured, SplitCounts, TaskResults, read_results


def test_tasks_done_before_are_kept_and_new_ones_added(run, source, tmp_path, capsys):
    options = {"source_path": source, "config": SHORT}
    glue(run, tmp_path, tasks=["sst2"], **options)
    first = written(tmp_path)["tasks"]
    assert capsys.readouterr().out == ""
    results = glue(run, tmp_path, tasks=["cola", "sst2"], **options)
    assert [task.task for task in results.tasks] == ["cola", "sst2"]  # GLUE's order
    assert written(tmp_path)["tasks"][1:] == first  # to the same second: not trained again
    path = tmp_path / "out" / "results.json"
    assert capsys.readouterr().out == f"kept 1 from {path}, not trained again: sst2\n"
    page = (tmp_path / "out" / "results.md").read_text()
    again = glue(run, tmp_path, tasks=["sst2"], **options)
    assert again == results
    assert (tmp_path / "out" / "results.md").read_text() == page
    assert "CoLA" in str(again)


def test_an_interrupted_run_goes_on_after_the_tasks_done(run, source, tmp_path, monkeypatch):
    options = {"source_path": source, "tasks": ["cola", "sst2"], "config": SHORT}
    calls = iter(range(100))

    def clip_or_stop(*arguments):
        if next(calls) == 5:  # CoLA and its twin take two steps each
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("torch.nn.utils.clip_grad_norm_", clip_or_stop)
        with pytest.raises(KeyboardInterrupt):
            glue(run, tmp_path, **options)
    (done,) = written(tmp_path)["tasks"]
    assert done["task"] == "cola"
    assert len(glue(run, tmp_path, **options).tasks) == 2
    assert written(tmp_path)["tasks"][0] == done


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.001}, r"learning_rate 0\.0001, not 0\.001"),
        ({"seeds": 2}, "seeds 1, not 2"),
        ({"max_length": 8}, "max_length 20, not 8"),
    ],
)
def test_results_of_other_settings_are_not_overwritten(run, source, tmp_path, change, named):
    glue(run, tmp_path, source_path=source, config=SHORT)
    before = written(tmp_path)
    with pytest.raises(DataError, match=f"{named}: choose another --out, or delete .*out$"):
        glue(run, tmp_path, tasks=["sst2"], config=replace(SHORT, **change))
    assert written(tmp_path) == before


def test_results_of_another_model_are_not_overwritten(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    other = tmp_path / "other"
    shutil.copytree(run / "hf", other)
    tensors = load_file(other / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    (name,) = (key for key in tensors if key.endswith(name))
    save_file({**tensors, name: tensors[name] + 1}, other / "model.safetensors")
    with pytest.raises(DataError, match=r"made with the model .*, not .*other .*: choose another"):
        glue(other, tmp_path, config=SHORT)
    shutil.copytree(run / "hf", tmp_path / "moved")
    assert len(glue(tmp_path / "moved", tmp_path, config=SHORT).tasks) == 1  # the same weights


def test_results_of_other_data_are_not_mixed(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    shutil.rmtree(tmp_path / "data")
    with (source / "CoLA" / "dev.tsv").open("a") as file:
        file.write("\ngj04\t1\t\tgood cat\n")
    with pytest.raises(DataError, match=r"made with CoLA/dev\.tsv .*: choose another --out"):
        glue(run, tmp_path, source_path=source, tasks=["sst2"], config=SHORT)


def small_results():
    score = Measured("dev", "matthews", (0.5, 0.7), (0.1, 0.2), 0.0)
    counts = {"train": SplitCounts(3, 3, False, 0, 0), "dev": SplitCounts(2, 4, True, 0, 0)}
    cola = TaskResults(
        task="cola",
        data={"CoLA/dev.tsv": "ab"},
        device="cpu",
        epochs=3,
        counts=counts,
        scores=(score,),
        seconds=1.0,
    )
    config = {"seeds": 2, "epochs": None}
    return GlueResults(model="run", model_blake3="cd", parameters=10, config=config, tasks=(cola,))


def test_results_are_read_as_they_were_written(tmp_path):
    small_results().write(tmp_path)
    assert read_results(tmp_path / "results.json") == small_results()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("}", ""),
        ('"cola"', '"colla"'),
        ('"rows": 3', '"rows": "many"'),
        ('"model_blake3"', '"model_hash"'),
        ('"seeds": [', '"seed": ['),
        ('"parameters": 10', '"parameters": "ten"'),
        ('"tasks": [', '"tasks": [3,'),
    ],
)
def test_damaged_results_are_named(run, tmp_path, old, new):
    small_results().write(tmp_path / "out")
    path = tmp_path / "out" / "results.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=r"results\.json cannot be read .*: choose another --out"):
        glue(run, tmp_path)


@given(st.binary(max_size=60))
def test_any_bytes_as_results_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any-results.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as results"):
        read_results(path)


def test_the_table_shows_median_and_spread():
    counts = {"train": SplitCounts(3, 3, False, 0, 0)}
    counts["dev_matched"] = SplitCounts(2, 4, True, 0, 0)
    score = Measured("dev_matched", "accuracy", (0.5, 0.75, 0.7), (0.25,), 0.35)
    (cola,) = small_results().tasks
    mnli = replace(cola, task="mnli", counts=counts, scores=(score,))
    results = replace(small_results(), tasks=(mnli,))
    assert str(results) == (
        "| task         | metric   | pretrained        | random twin | majority "
        "| train rows | dev rows         |\n"
        "|--------------|----------|-------------------|-------------|----------"
        "|------------|------------------|\n"
        "| MNLI matched | accuracy | 70.0 (50.0..75.0) | 25.0        | 35.0     "
        "| 3          | 2 of 4 (partial) |"
    )
