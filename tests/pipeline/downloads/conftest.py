"""A server that misbehaves, and downloads that wait for nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.downloads import transfer
from tests.pipeline.downloads.servers import Server, running

pytest.register_assert_rewrite("tests.pipeline.downloads.loading")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.02, 0.03))
    monkeypatch.setattr(transfer, "UNREACHED_PAUSES", (0.01, 0.02))
    monkeypatch.setattr(transfer, "RETRIES_IN_PLACE", 0)


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "corpus"
