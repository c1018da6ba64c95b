"""A finished run of a few steps, made once; a test that changes it copies it first."""

import shutil
from pathlib import Path

import pytest

from pipeline.config import PackConfig
from pipeline.pack import pack
from train.config import Execution, PretrainConfig, execution, pretrain_config
from train.pretrain import start_run


@pytest.fixture(scope="session")
def small_config() -> PretrainConfig:
    """Six steps of four rows."""
    return pretrain_config("tiny", steps=6, batch_size=4, precision="float32")


@pytest.fixture(scope="session")
def on_cpu() -> Execution:
    """A checkpoint every second step."""
    return execution("tiny", device="cpu", checkpoint_every=2, quiet=True)


@pytest.fixture(scope="session")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory,
    shards_folder: Path,
    small_config: PretrainConfig,
    on_cpu: Execution,
) -> Path:
    """A finished run on `shards_folder`."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    start_run(shards_folder, folder, small_config, on_cpu, lambda line: None)
    return folder


@pytest.fixture(scope="session")
def going_run(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> Path:
    """The same run as it was before its end: six steps are done, nothing is exported."""
    folder = tmp_path_factory.mktemp("going") / "run"
    shutil.copytree(run_folder, folder, ignore=shutil.ignore_patterns("hf"))
    return folder


@pytest.fixture(scope="session")
def stream_folder(
    tmp_path_factory: pytest.TempPathFactory, text_folder: Path, tokenizer_folder: Path
) -> Path:
    """`text_folder` packed as running text, in rows of 64 tokens."""
    folder = tmp_path_factory.mktemp("stream")
    config = PackConfig(max_length=(64,), validation_fraction=0.1, layout="stream")
    pack(text_folder, tokenizer_folder, folder, config, workers=1)
    return folder


@pytest.fixture(scope="session")
def two_lengths(
    tmp_path_factory: pytest.TempPathFactory, text_folder: Path, tokenizer_folder: Path
) -> Path:
    """`text_folder` packed into rows of 32 tokens, and into rows of 64."""
    folder = tmp_path_factory.mktemp("two_lengths")
    config = PackConfig(max_length=(32, 64), validation_fraction=0.1)
    pack(text_folder, tokenizer_folder, folder, config, workers=1)
    return folder
