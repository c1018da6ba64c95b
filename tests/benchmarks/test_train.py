"""Both sides of the benchmark of training, and one run of it on a few rows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

pytest.importorskip("datasets")
pytest.importorskip("transformers")

from benchmarks import train
from benchmarks.training import hearth, peer
from benchmarks.training.agreement import check_agreement, copy_weights
from benchmarks.training.job import Job, rows_of, size_of
from benchmarks.training.memory import Peak
from benchmarks.training.rows import write_rows
from benchmarks.training.side import Side, SideError, Steps
from model.electra import make_electra

pytestmark = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux")
LENGTH = 32


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("training")
    write_rows(folder / "shards", 300_000, LENGTH, 0.7)
    made = Job(
        shards=folder / "shards",
        dataset=folder / "dataset",
        preset="tiny",
        length=LENGTH,
        rows=3,
        steps=4,
        precision="float32",
        device="cpu",
        threads=1,
    )
    peer.write_dataset(made.open(), made.dataset)
    return made


@pytest.mark.parametrize("preset", ["tiny", "home", "home-seed", "electra-small"])
def test_both_sides_have_the_same_rows_and_losses(job: Job, preset):
    check_agreement(replace(job, preset=preset))


def test_other_rows_stop_the_benchmark(job: Job, tmp_path: Path):
    write_rows(tmp_path / "shards", 300_000, LENGTH, 0.8)
    with pytest.raises(SystemExit, match="differs from that of `datasets`"):
        check_agreement(replace(job, shards=tmp_path / "shards"))


def test_other_losses_stop_the_benchmark(job: Job, monkeypatch):
    def copy_then_change(model, pair):
        copy_weights(model, pair)
        with torch.no_grad():
            pair[1].discriminator_predictions.dense_prediction.bias += 0.1

    monkeypatch.setattr("benchmarks.training.agreement.copy_weights", copy_then_change)
    with pytest.raises(SystemExit, match="our loss is"):
        check_agreement(job)


@pytest.mark.parametrize("preset", ["tiny", "home", "home-seed", "electra-small", "electra-base"])
def test_both_sides_have_as_many_weights(job: Job, preset):
    config = replace(job, preset=preset).networks(job.open().header)
    with torch.device("meta"):
        ours, theirs = make_electra(config), torch.nn.ModuleList(peer.make_pair(config))
    counts = [sum(one.numel() for one in module.parameters()) for module in (ours, theirs)]
    assert counts[0] == counts[1]


def test_nothing_is_dropped_out(job: Job):
    config = replace(job, preset="home").networks(job.open().header)
    for network in peer.make_pair(config):
        assert all(
            module.p == 0 for module in network.modules() if isinstance(module, torch.nn.Dropout)
        )
        assert network.config.attention_probs_dropout_prob == 0
        assert network.config._attn_implementation == "sdpa"


def test_a_step_has_the_same_rows_on_both_sides(job: Job):
    shards = job.open()
    rows = shards.gather(rows_of(job, shards, 2))
    batches = list(peer.load_batches(job, shards))
    assert len(batches) == job.steps
    assert batches[2]["input_ids"].tolist() == rows.input_ids.tolist()
    assert batches[2]["attention_mask"].sum(1).tolist() == rows.length.tolist()
    ours = hearth.read_batches(shards, job.rows, "cpu")
    for theirs in batches:
        (mine,) = next(ours)
        assert sorted(mine.attention_mask.sum(1)) == sorted(theirs["attention_mask"].sum(1))


def test_the_size_of_a_step_leaves_padding_out(job: Job):
    shards = job.open()
    size = size_of(job, shards, 1)
    rows = shards.gather(rows_of(job, shards, 1))
    assert (size.rows, size.tokens) == (3, rows.length.sum())
    assert rows.length.min() <= size.length <= rows.length.max()
    assert 0.1 < size.masked / size.tokens < 0.2


def test_special_tokens_and_padding_are_never_predicted(job: Job):
    torch.manual_seed(0)
    shards = job.open()
    header = shards.header
    batches = list(peer.load_batches(replace(job, rows=50), shards))
    ids, masked = (
        torch.cat([batch[name] for batch in batches]) for name in ("input_ids", "masked_positions")
    )
    special = torch.isin(
        ids, torch.tensor([header.pad_token_id, header.cls_token_id, header.sep_token_id])
    )
    assert not (masked & special).any()
    assert masked.sum() / (~special).sum() == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize("side", [hearth, peer])
def test_a_side_trains_and_says_how_long_it_waited(job: Job, side):
    assert side.start_training(job)(4) > 0


def test_the_peer_s_optimizer_is_fused_and_decays_matrices_alone(job: Job):
    networks = torch.nn.ModuleList(peer.make_pair(job.networks(job.open().header)))
    optimizer = peer.make_optimizer(networks, 1e-3)
    decayed, plain = optimizer.param_groups
    assert optimizer.defaults["fused"]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    assert all(one.ndim == 1 for one in plain["params"])


def test_the_peak_is_above_what_was_there_before():
    held = bytearray(30_000_000)
    peak = Peak("cpu")
    found = peak.watch(lambda: len(bytearray(b"x") * 50_000_000))
    assert found == 50_000_000
    assert 0 <= peak.size < 500_000_000
    assert len(held) == 30_000_000


def test_figures_are_of_the_rounds_after_the_first(job: Job):
    found = [
        train.Round(Steps(1.0, 1.0, 0.0), Steps(3.0, 2.0, 0.3), 1e9),
        train.Round(Steps(2.0, 1.0, 0.1), Steps(4.0, 4.0, 0.3), 1e9),
        train.Round(Steps(1.0, 1.0, 0.0), Steps(9.0, 3.0, 0.0), 1e9),
    ]
    figures = train._figures(job, found, count=1)
    assert (figures["ratio"], figures["ratio_of_processor_time"]) == (3.0, 3.0)
    assert (figures["data_wait"], figures["data_wait_transformers"]) == (0.025, 0.0375)
    assert figures["fill"] == pytest.approx(0.7, abs=0.15)
    tokens = size_of(job, job.open(), 1).tokens
    assert figures["tokens_per_second"]["transformers"] <= tokens


@pytest.mark.slow
def test_a_side_trains_in_a_process_of_its_own(job: Job):
    with Side(hearth.__name__, job) as side:
        steps = side.train(2)
        assert 0 < steps.waited < steps.seconds
        assert side.multiply() > 0
        assert side.peak() > 0
    assert side.process.exitcode == 0


@pytest.mark.slow
def test_a_side_that_cannot_train_says_why(job: Job, tmp_path: Path):
    (tmp_path / "manifest.json").write_text("{}")
    with (
        Side(hearth.__name__, replace(job, shards=tmp_path)) as side,
        pytest.raises(SideError, match="manifest"),
    ):
        side.train(1)
    assert side.process.exitcode == 0


@pytest.mark.slow
def test_it_ends_with_a_line_of_json(monkeypatch):
    monkeypatch.setattr(train, "SIZE", 200_000)
    sizes = ["--preset", "tiny", "--rows", "2", "--length", str(LENGTH), "--rounds", "1"]
    result = CliRunner().invoke(train.main, sizes)
    assert result.exit_code == 0, (result.output, result.exception)
    figures = json.loads(result.output.splitlines()[-1])
    assert all(figures[name] > 0 for name in ("ratio", "memory_ratio", "data_wait", "fill"))
    assert min(figures["tokens_per_second"].values()) > 0


@pytest.mark.slow
def test_what_fits_is_told_for_both_sides(monkeypatch):
    monkeypatch.setattr(train, "SIZE", 200_000)
    monkeypatch.setattr(train, "FITS", {"tiny": (2, LENGTH)})
    result = CliRunner().invoke(train.main, ["--fits"])
    assert result.exit_code == 0, (result.output, result.exception)
    figures = json.loads(result.output.splitlines()[-1])
    assert figures["tiny"].keys() == {"hearth", "transformers"}
    assert all(one["fits"] and one["peak_mb"] < 4000 for one in figures["tiny"].values())
