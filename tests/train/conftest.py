"""A finished run of a few steps, made once; a test that changes it copies it first."""

from pathlib import Path

import pytest

from train.config import PretrainConfig, pretrain_config
from train.pretrain import start_run


@pytest.fixture(scope="session")
def small_config() -> PretrainConfig:
    """Six steps of four rows, with a checkpoint every second step."""
    return pretrain_config("tiny", steps=6, batch_size=4, checkpoint_every=2)


@pytest.fixture(scope="session")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory, shards_folder: Path, small_config: PretrainConfig
) -> Path:
    """A finished run on `shards_folder`."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    start_run(shards_folder, folder, small_config, "cpu", lambda line: None)
    return folder
