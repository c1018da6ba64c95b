import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from model.configure import configure
from model.huggingface import save
from shards.reader import ShardFolder
from train.available import Available
from train.config import execution, pretrain_config
from train.initial import make_model
from train.plan import as_json, count_parameters, make_plan
from train.plan_command import plan as plan_command
from train.plan_disk import count_exported
from train.plan_rows import plan_rows
from train.plan_text import in_hours, plan_text
from train.stages import Stage
from train.trial import middle_first

SMALL = {"preset": "tiny", "batch_size": 4, "precision": "float32"}


def make(shards=None, how=None, **chosen):
    config = pretrain_config(**(SMALL | chosen))
    return make_plan(
        config, execution("tiny", device="cpu", **(how or {})), shards, 0, lambda line: None, 500
    )


def test_a_plan_knows_steps_epochs_and_time(shards_folder):
    plan = make(shards_folder, steps=100)
    (stage,) = plan.stages
    rows = ShardFolder(shards_folder, "train")
    assert (stage.steps, stage.max_length) == (100, rows.header.max_length)
    assert stage.epochs == pytest.approx(400 / len(rows))
    training = 100 * stage.trial.seconds_per_update / 3600
    assert plan.hours == pytest.approx(training + stage.evaluation_hours)
    assert stage.trial.tokens_per_second > 0
    share = stage.trial.flops_utilisation
    assert share is None or 0 < share <= 1
    assert stage.trial.micro_batches == 1
    assert plan.assumed == ()


def test_a_plan_leaves_random_numbers_and_shards_as_they_are(shards_folder):
    before = torch.get_rng_state()
    make(shards_folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_stages_are_planned_each(two_lengths):
    stages = (Stage(32, 0.75), Stage(64, 0.25))
    plan = make(two_lengths, stages=stages, steps=100)
    assert [stage.steps for stage in plan.stages] == [75, 25]
    assert [stage.batch_size for stage in plan.stages] == [4, 2]
    text = plan_text(plan)
    assert "rows of 32 tokens" in text
    assert "rows of 64 tokens" in text


def test_evaluations_are_counted_in(two_lengths):
    stages = (Stage(32, 0.75), Stage(64, 0.25))
    first, last = make(two_lengths, stages=stages, steps=100, how={"evaluate_every": 20}).stages
    assert (first.evaluations, last.evaluations) == (3, 2)
    assert first.hours > first.evaluation_hours > 0
    plan = make(two_lengths, stages=stages, steps=50, how={"checkpoint_every": 20})
    assert [stage.evaluations for stage in plan.stages] == [1, 2]  # the last at the end
    assert "evaluations" in plan_text(plan)


def test_hours_become_steps_at_the_speed_that_was_measured(shards_folder):
    plan = make(shards_folder, hours=2.0)
    assert plan.hours == pytest.approx(2, rel=0.05)


def test_micro_batches_are_as_asked_for(shards_folder):
    (stage,) = make(shards_folder, how={"micro_batch": 3}).stages
    assert (stage.choice.micro_batch, stage.choice.micro_batches) == (3, 2)
    (stage,) = make(shards_folder, how={"micro_batch": 3, "memory": 10**10}).stages
    assert stage.choice.micro_batch == 3
    assert stage.choice.reason == "as asked for; --memory has room for 4"
    (stage,) = make(shards_folder, how={"memory": 10**10}).stages
    assert stage.choice.micro_batch == 4


def test_where_nothing_was_asked_for_all_rows_go_at_once():
    (stage,) = make(stages=(Stage(32),)).stages
    assert stage.choice.reason == "all 4 rows in one forward pass; --memory chooses what fits"
    assert stage.remarks == ()
    (stage,) = make(stages=(Stage(32),), how={"micro_batch": 2}).stages
    assert stage.choice.reason == "as asked for"


def plan_with(available, monkeypatch, **chosen):
    monkeypatch.setattr("train.plan.available_memory", lambda device: available)
    return make(stages=(Stage(128, 1.0, 256),), **chosen)


def test_fewer_rows_are_timed_where_those_planned_do_not_fit(monkeypatch):
    plan = plan_with(Available(900_000_000, 10**12), monkeypatch)
    (stage,) = plan.stages
    assert stage.choice.micro_batch == 256
    assert stage.trial.micro_batch == 32
    assert "only 900.0 MB are free: give --memory 900MB, which chooses" in stage.remarks[0]
    assert stage.remarks[0].endswith("timed with 32 rows")
    assert stage.remarks[0] in plan_text(plan)


@pytest.mark.parametrize("chosen", [{"steps": 10}, {"hours": 2.0}])
@pytest.mark.slow
def test_where_no_row_fits_there_is_a_plan_without_a_speed(monkeypatch, chosen):
    plan = plan_with(Available(10**8, 2 * 10**8), monkeypatch, **chosen)
    (stage,) = plan.stages
    assert stage.trial is None
    assert "there are only 200.0 MB; not even one row fits" in stage.remarks[0]
    text = plan_text(plan)
    assert stage.remarks[0] in text
    assert "parameters" in text
    assert f"total          {plan.parameters['total']:,}" in text
    assert "no speed" in text
    json.dumps(as_json(plan))
    assert (plan.steps, plan.hours) == (chosen.get("steps"), chosen.get("hours"))
    assert (plan.disk is None) == ("hours" in chosen)


@pytest.mark.parametrize("preset", ["tiny", "bert-tiny", "algpt2-small"])
def test_parameters_are_those_of_the_model(preset):
    kind = plan_rows(pretrain_config(preset), None, 500).kind
    counted = count_parameters(kind)
    model = make_model(kind)
    assert counted["total"] == sum(weight.numel() for weight in model.parameters())
    assert sum(counted.values()) >= 2 * counted["total"]


def test_without_shards_it_is_said_what_was_assumed():
    plan = make(stages=(Stage(32),))
    assert "assumed" in plan.assumed[0]
    assert plan.assumed[0] in plan_text(plan)
    assert plan.stages[0].epochs is None


def test_assumed_rows_are_between_six_tenths_full_and_full():
    stage = Stage(32, 1.0, 40)
    config = pretrain_config(**SMALL, stages=(stage,))
    rows = plan_rows(config, None, 500).take(stage, 0).rows
    assert rows.length.min() >= 19
    assert rows.length.max() == 32
    assert rows.length.mean() == pytest.approx(0.8 * 32, rel=0.05)


def test_a_decoder_is_planned_on_running_text():
    plan = make(preset="algpt2-small", stages=(Stage(16, 1.0, 1),))
    assert "running text" in plan.assumed[0]


def test_disk_holds_the_checkpoints_that_are_kept():
    plan = make(stages=(Stage(32),), steps=1000, how={"keep": 3, "keep_every": 400})
    memory = plan.memory
    assert plan.disk.checkpoint == memory.weights + memory.optimizer
    assert plan.disk.checkpoints == 3 + 2 + 1
    assert plan.disk.total > plan.disk.checkpoints * plan.disk.checkpoint


@pytest.mark.parametrize("preset", ["algpt2-small", "gpt2-small", "albert-tiny", "tiny"])
def test_the_export_is_as_large_as_is_foretold(preset, tmp_path):
    kind = configure(
        preset, vocab_size=600, max_position_embeddings=64, pad_token_id=0, mask_token_id=4
    )
    save(tmp_path, make_model(kind))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    expected = 4 * count_exported(kind, count_parameters(kind))
    assert expected == pytest.approx(size, rel=0.04)  # a class may have a pooler that ours lack


def test_json_holds_what_the_text_holds(shards_folder):
    document = json.loads(json.dumps(as_json(make(shards_folder, steps=10))))
    assert document["steps"] == 10
    memory = document["stages"][0]["choice"]["memory"]
    assert memory["total"] == sum(value for name, value in memory.items() if name != "total")


def test_the_middle_micro_batch_is_timed_first():
    lengths = np.array([3, 9, 5, 7, 1, 8], np.uint16)
    parts = middle_first(lengths, 2)
    assert [sorted(lengths[part].tolist()) for part in parts] == [[5, 7], [8, 9], [1, 3]]


@pytest.mark.parametrize(
    ("hours", "text"), [(0.05, "3.0 minutes"), (5, "5.0 hours"), (480, "20.0 days")]
)
def test_time_is_told_in_a_fitting_unit(hours, text):
    assert in_hours(hours) == text


def test_the_command_prints_json(shards_folder):
    arguments = "--preset tiny --batch-size 4 --steps 20 --seconds 0.01 --precision float32 --json"
    result = CliRunner().invoke(
        plan_command, [*arguments.split(), "--device", "cpu", "--shards", str(shards_folder)]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["steps"] == 20


@pytest.mark.parametrize("seconds", ["nan", "0", "-1", "inf"])
def test_no_time_is_refused(seconds):
    result = CliRunner().invoke(plan_command, ["--seconds", seconds])
    assert result.exit_code == 2
    assert "is no time: give seconds above 0" in result.output


@pytest.mark.parametrize("option", ["--compile", "--quiet", "--on-checkpoint=true"])
def test_options_that_change_no_plan_are_refused(option):
    result = CliRunner().invoke(plan_command, [option])
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_a_vocabulary_beside_shards_is_refused(shards_folder):
    result = CliRunner().invoke(
        plan_command, ["--vocab-size", "500", "--shards", str(shards_folder)]
    )
    assert result.exit_code == 2
    assert "--vocab-size is for a plan without --shards" in result.output
