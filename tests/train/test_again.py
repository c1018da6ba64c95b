"""How a run was carried out last, and what of it holds when it goes on."""

import json
import shutil

import pytest
from click.testing import CliRunner

from cli import main
from train.again import read_execution, still_holding, taken_over
from train.config import pretrain_config
from train.pretrain import start_run
from train.step import Updater

ROWS = 2
"""More in a forward pass have no room, in these tests."""


@pytest.mark.slow
def test_a_halving_is_kept_for_the_resume(shards_folder, on_cpu, tmp_path, monkeypatch):
    gather, tried = Updater._accumulate, []

    def small(self, batches, *given):
        tried.append(max(len(batch.input_ids) for batch in batches))
        if tried[-1] > ROWS:
            raise MemoryError
        return gather(self, batches, *given)

    monkeypatch.setattr(Updater, "_accumulate", small)
    config = pretrain_config("tiny", steps=2, batch_size=4, precision="float32")
    start_run(shards_folder, tmp_path / "run", config, on_cpu, lambda line: None)
    assert read_execution(tmp_path / "run")["most_tokens"] == ROWS * 64
    tried.clear()
    shutil.rmtree(tmp_path / "run" / "hf")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    resume = ["pretrain", "--resume", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(main, resume)
    assert result.exit_code == 0, result.output
    assert "128 tokens in a forward pass at most: with more there was no memory" in result.output
    assert tried == [ROWS, ROWS]
    assert json.loads((tmp_path / "run" / "execution.json").read_text())["most_tokens"] == 128


def test_a_choice_of_memory_lifts_what_running_out_of_it_has_left():
    kept = {"most_tokens": 128, "keep": 3}
    assert still_holding(kept, {"quiet": True}) == kept
    assert still_holding(kept, {"micro_batch": 8}) == {"keep": 3}
    assert taken_over(kept, {}, "tiny") == "--keep 3"
