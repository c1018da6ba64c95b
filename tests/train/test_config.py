import json
from dataclasses import asdict
from typing import get_args

import click
import pytest
from click.testing import CliRunner

from model.presets import PAIRS, PRESETS
from pipeline.flags import build, configured_by
from train.config import Execution, PresetName, PretrainConfig, execution, pretrain_config
from train.stages import Stage


def run_flags(config, make, *arguments):
    made = []

    @click.command()
    @configured_by(config)
    def command(**options):
        made.append(build(make, options))

    result = CliRunner().invoke(command, arguments)
    return made, result.output


def test_the_names_are_those_of_the_presets():
    assert set(get_args(PresetName)) == set(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_configuration(preset):
    config = pretrain_config(preset)
    assert config.steps == PRESETS[preset].steps
    assert (config.sentence_order is None) == (preset not in PAIRS)
    assert execution(preset).checkpoint_every == PRESETS[preset].checkpoint_every


def test_decoders_are_trained_as_nanogpt_and_the_others_as_electra():
    gpt2, home = pretrain_config("gpt2-small"), pretrain_config("home")
    assert (gpt2.weight_decay, gpt2.adam_beta2, gpt2.adam_epsilon) == (0.1, 0.95, 1e-8)
    assert (home.weight_decay, home.adam_beta2, home.adam_epsilon) == (0.01, 0.999, 1e-6)


def test_a_configuration_is_the_same_after_json():
    stages = (Stage(128, 0.9), Stage(512, 0.1, batch_size=64))
    config = pretrain_config("home", stages=stages, precision="bfloat16", hours=1.5)
    assert PretrainConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("warmup", "steps", "expected"), [(0.1, 800, 80), (1, 800, 1), (40.0, 800, 40), (0, 9, 0)]
)
def test_warm_up_is_a_share_below_1_and_steps_from_1_on(warmup, steps, expected):
    assert pretrain_config(steps=steps, warmup=warmup).warmup_steps == expected


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"steps": 0}, "--steps 0 is not above 0: give 1 or more"),
        ({"batch_size": -1}, "--batch-size -1 is not above 0"),
        ({"hours": float("nan")}, "--hours nan is not above 0: give one above 0, such as 0.5"),
        ({"hours": 1.0, "steps": 5}, "--hours and --steps both say when the run ends"),
        ({"hours": 1.0, "warmup": 10}, "--warmup 10 counts updates, which --hours does not"),
        ({"steps": 5, "warmup": 6}, "--warmup 6 is more than --steps 5: give 5 or fewer"),
        ({"warmup": 1.5}, "--warmup 1.5 is neither a share nor a number of updates: give"),
        ({"warmup": -0.1}, "--warmup -0.1 is neither"),
        ({"learning_rate": 2.0}, "--learning-rate 2.0 is more than 1: give at most 1; 0.0005 is"),
        ({"weight_decay": -0.1}, "--weight-decay -0.1 is not from 0 to below 1: give"),
        ({"adam_beta2": 1.0}, "--adam-beta2 1.0 is not from 0 to below 1"),
        ({"seed": -1}, "--seed -1 is not between .*: give one that is"),
        ({"optimizer": "lamb"}, "--optimizer lamb needs --learning-rate.*: begin with 0.00176"),
        ({"preset": "elmo"}, "--preset elmo is unknown: give one of tiny, hour, home"),
        (
            {"preset": "bert-tiny", "sentence_order": "both"},
            "for pairs of networks, not for bert.*: leave",
        ),
        ({"optimizer": "adafactor"}, "--optimizer adafactor needs .*: begin with 0.01"),
        ({"hours": float("inf")}, "--hours inf is no number to count with: give one"),
        ({"stages": (Stage(128, 0.5),)}, "^--stages: the shares sum to 0.5, not to 1: give shares"),
    ],
)
def test_a_bad_value_is_named(chosen, message):
    with pytest.raises(ValueError, match=message):
        pretrain_config(**chosen)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"keep": 0}, "--keep 0 is not above 0: give 1 or more"),
        ({"micro_batch": 0}, "--micro-batch 0 is not above 0"),
        (
            {"keep_every": 7},
            "--keep-every 7 is not a multiple of --checkpoint-every 5000: give 5000",
        ),
        ({"on_checkpoint": ""}, "--on-checkpoint is empty: give a command, or leave it out"),
    ],
)
def test_a_bad_value_of_the_execution_is_named(chosen, message):
    with pytest.raises(ValueError, match=message):
        execution(**chosen)


def test_flags_make_a_configuration():
    text = "--preset electra-small --stages 128x256:0.9,512:0.1 --sentence-order both --hours 24"
    made, _ = run_flags(PretrainConfig, pretrain_config, *text.split())
    stages = (Stage(128, 0.9, 256), Stage(512, 0.1))
    expected = pretrain_config("electra-small", stages=stages, sentence_order="both", hours=24.0)
    assert made == [expected]


def test_flags_make_an_execution():
    text = "--memory 4GB --quiet --no-compile --keep-every 10000"
    made, _ = run_flags(Execution, execution, *text.split())
    assert made == [execution(memory=4 * 10**9, quiet=True, keep_every=10_000)]


def test_a_flag_says_what_is_wrong_with_stages():
    _, output = run_flags(PretrainConfig, pretrain_config, "--stages", "128:0.9,512:0.2")
    assert "the shares sum to 1.1, not to 1" in output
    assert output.count("--stages") == 1
    _, output = run_flags(PretrainConfig, pretrain_config, "--help")
    assert "[default: none]" in output
    assert "a single one needs no share: 512" in " ".join(output.split())
