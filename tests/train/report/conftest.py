"""Runs that nobody trained, to report on."""

import json

import pytest

from tests.train.report.made import HEADER
from train.config import pretrain_config
from train.runs import Run, model_config


@pytest.fixture
def make_run(tmp_path):
    """Return a function that writes a run: `make_run(name, lines, **config)`."""

    def make(name, lines, **config):
        known = {"preset": "tiny", "batch_size": 4} | ({} if "hours" in config else {"steps": 100})
        chosen = pretrain_config(**known | config)
        model = model_config(chosen, HEADER)
        folder = tmp_path / name
        folder.mkdir(parents=True)
        run = Run(folder, chosen, model, str(tmp_path / "shards"), "f" * 64, {"torch": "2"})
        run.write()
        with run.metrics.open("w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return folder

    return make
