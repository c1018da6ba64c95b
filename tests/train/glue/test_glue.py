"""`run_glue` from a run folder to results, and what it refuses before training."""

import sys
from dataclasses import replace

import pytest

from shards.errors import DataError
from tests.train.glue.toy import LONGEST, SHORT, glue, written
from train.glue import find_model, row_length, run_glue
from train.glue_config import GlueConfig
from train.glue_results import SplitCounts


def test_a_separable_task_is_learnt_and_the_results_are_written(run, source, tmp_path):
    config = GlueConfig(seeds=2, epochs=12, batch_size=8, learning_rate=5e-3)
    results = run_glue(
        run,
        tasks=["cola", "sst2"],
        source_path=source,
        data=tmp_path / "data",
        out=tmp_path / "out",
        config=config,
        device="cpu",
    )
    cola, sst2 = results.tasks
    assert sst2.scores[0].metric == "accuracy"
    assert min(sst2.scores[0].pretrained) > 0.9
    assert min(sst2.scores[0].random) > 0.9
    assert sst2.scores[0].majority == pytest.approx(2 / 3)
    assert cola.scores[0].metric == "matthews"
    assert min(cola.scores[0].pretrained) > 0.8
    assert cola.scores[0].majority == 0.0
    assert cola.counts["train"] == SplitCounts(60, 8551, True, 0, 0)

    document = written(tmp_path)
    assert [task["task"] for task in document["tasks"]] == ["cola", "sst2"]
    pretrained = document["tasks"][1]["scores"][0]["pretrained"]
    assert pretrained["seeds"] == list(sst2.scores[0].pretrained)
    assert pretrained["lowest"] <= pretrained["median"] <= pretrained["highest"]
    page = (tmp_path / "out" / "results.md").read_text()
    assert str(results) in page
    assert "60 of 8,551 (partial)" in page


def test_missing_data_names_the_command(run, tmp_path):
    with pytest.raises(DataError, match=r"run `python cli.py fetch glue` first"):
        glue(run, tmp_path)


def test_a_task_that_was_not_unpacked_is_named(run, source, tmp_path):
    with pytest.raises(DataError, match=r"lacks the tasks mrpc: .* `--tasks cola`"):
        glue(run, tmp_path, source_path=source, tasks=["cola", "mrpc"])


def test_an_edited_file_is_refused(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    (tmp_path / "data" / "glue" / "CoLA" / "dev.tsv").write_text("gj04\t1\t\tgood\n")
    with pytest.raises(DataError, match=r"dev\.tsv is not as it was unpacked"):
        glue(run, tmp_path, config=SHORT)


def test_rows_are_as_long_as_the_model_takes_unless_chosen(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    assert written(tmp_path)["config"]["max_length"] == LONGEST
    pretrained = find_model(run)
    assert row_length(GlueConfig(max_length=8), pretrained) == 8
    longer = replace(pretrained, config=replace(pretrained.config, max_position_embeddings=512))
    assert row_length(GlueConfig(), longer) == 128
    assert row_length(GlueConfig(max_length=512), longer) == 512


def test_rows_longer_than_the_model_takes_are_refused(run, tmp_path):
    config = GlueConfig(max_length=21)
    with pytest.raises(DataError, match=r"--max-length 21 is more than the 20 .* --max-length 20"):
        glue(run, tmp_path, config=config)


def test_a_run_without_an_export_is_named(tmp_path):
    with pytest.raises(DataError, match="no exported model at "):
        glue(tmp_path / "runs", tmp_path)


def test_an_export_without_its_tokenizer_is_named(run, source, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((run / "hf" / name).read_bytes())
    with pytest.raises(DataError, match=r"no tokenizer at .*tokenizer\.json: export the model"):
        glue(copy, tmp_path, source_path=source)


def test_a_broken_export_is_named(run, source, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes((run / "hf" / "config.json").read_bytes())
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be loaded"):
        glue(copy, tmp_path, source_path=source)


def test_missing_packages_are_told_before_training(run, source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(DataError, match=r'run `pip install -e "\.\[glue\]"`'):
        glue(run, tmp_path, source_path=source)
