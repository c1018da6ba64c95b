"""Both sides of the benchmark of fine-tuning, and one run of it on a few rows."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

pytest.importorskip("accelerate")
pytest.importorskip("datasets")
pytest.importorskip("transformers")

from benchmarks import glue
from benchmarks.tuning import hearth, peer
from benchmarks.tuning.agreement import check_agreement
from benchmarks.tuning.job import Job, Tuned, first_rows
from benchmarks.tuning.rows import make_job, make_rows
from model import presets

PRESET = "electra-small"
CHANGES = {"hidden_size": 32, "num_hidden_layers": 2, "num_hidden_groups": 2}


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Give the preset small networks."""
    whole = presets.PRESETS[PRESET]
    pair = whole.model
    networks = {
        half: replace(getattr(pair, half), embedding_size=16, intermediate_size=64, **CHANGES)
        for half in ("generator", "discriminator")
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HEARTH_DATA", raising=False)
        small = replace(whole, model=replace(pair, **networks))
        patch.setitem(presets.PRESETS, PRESET, small)
        yield


@pytest.fixture(scope="module", params=["sst2", "mrpc"])
def job(request, tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("tuning") / request.param
    return make_job(folder, request.param, PRESET, rows=40, epochs=1, threads=1)


def test_both_sides_have_the_same_logits_before_and_after_updates(job: Job):
    check_agreement(job)


def test_other_weights_stop_the_benchmark(job: Job, monkeypatch):
    make = peer.make

    def make_and_change(job):
        model = make(job)
        with torch.no_grad():
            model.classifier.out_proj.bias[0] += 0.1
        return model

    monkeypatch.setattr(peer, "make", make_and_change)
    with pytest.raises(SystemExit, match="logits: ours"):
        check_agreement(job)


def test_another_rate_stops_the_benchmark(job: Job, monkeypatch):
    settings = Job.settings.fget
    tune = hearth.finetune

    def faster(classifier, task, rows, own, *others):
        tune(classifier, task, rows, replace(own, learning_rate=2 * own.learning_rate), *others)

    assert settings(job).learning_rate == 1e-4
    monkeypatch.setattr(hearth, "finetune", faster)
    with pytest.raises(SystemExit, match="after 3 updates"):
        check_agreement(job)


def test_as_much_is_dropped_on_both_sides(job: Job):
    ours, theirs = hearth.make(job), peer.make(job)
    for network in (ours, theirs):
        shares = {one.p for one in network.modules() if isinstance(one, torch.nn.Dropout)}
        assert shares == {0.1}
    attention = ours.encoder.layers[0].attention.mechanism.dropout
    assert theirs.config.attention_probs_dropout_prob == attention == 0.1
    assert theirs.config._attn_implementation == "sdpa"


def test_a_side_trains_and_predicts_all_rows(job: Job):
    for side in (hearth, peer):
        tuned = side.tune(job)
        assert len(tuned.predicted) == len(job.dev)
        assert min(tuned[:4]) > 0


def test_trainer_pads_to_the_longest_or_to_all_places(job: Job):
    few = first_rows(job.train, 5)
    lengths = [len(row) for row in peer._encode(job, few, "longest")["input_ids"]]
    assert len(set(lengths)) > 1
    padded = peer._encode(job, few, "max_length")["input_ids"]
    assert {len(row) for row in padded} == {128}


def test_both_sides_have_the_same_tokens_and_types(job: Job):
    ours = hearth._tokenizer(job).encode(job.train)
    theirs = peer._encode(job, job.train, "longest")
    for index, row in enumerate(theirs):
        found = ours.gather(np.array([index]), 0)
        for name in ("input_ids", "token_type_ids", "attention_mask"):
            assert getattr(found, name)[0, : len(row["input_ids"])].tolist() == row[name]


def test_made_rows_are_those_of_their_seed():
    some, same, others = (make_rows("mrpc", 9, seed) for seed in (1, 1, 2))
    assert some.first == same.first
    assert some.second == same.second != others.second
    assert len(some) == 9
    assert make_rows("sst2", 9, 1).second is None


def test_figures_are_medians_of_the_rounds(job: Job):
    told = torch.zeros(len(job.dev)).numpy()
    found = [
        glue.Round(Tuned(1.0, 1.0, 2.0, 1.0, told), Tuned(theirs, 4.0, 3.0, 3.0, told))
        for theirs in (2.0, 3.0, 9.0)
    ]
    figures = glue._figures(job, found)
    assert (figures["ratio"], figures["ratio_of_processor_time"]) == (3.0, 4.0)
    assert (figures["predict_ratio"], figures["predict_ratio_of_processor_time"]) == (1.5, 3.0)
    assert figures["hearth"] == {"train": 40.0, "predict": 20.0}


@pytest.mark.slow
def test_it_ends_with_a_line_of_json():
    options = ["--rows", "40", "--rounds", "1", "--task", "mrpc"]
    result = CliRunner().invoke(glue.main, options)
    assert result.exit_code == 0, (result.output, result.exception)
    figures = json.loads(result.output.splitlines()[-1])
    assert min(figures["ratio"], figures["predict_ratio"]) > 0
    assert set(figures["tasks"]["mrpc"]["ways"]) == set(glue.WAYS)
    assert not figures["real_rows"]
