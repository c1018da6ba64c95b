"""A pack that was killed, interrupted or out of disk goes on to the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import PackConfig
from pipeline.pack import pack
from shards.manifest import read_manifest
from shards.verify import verify
from tests.pipeline.pack.packing import CONFIG, LAYOUTS, content

ROOT = Path(__file__).parents[3]


@pytest.fixture
def start(tmp_path: Path, sources: Path, tokenizer_folder: Path):
    """Return a function that starts `pack` in a process of its own."""
    script = (
        "import ast, sys\nfrom pathlib import Path\nfrom pipeline.config import PackConfig\n"
        "from pipeline.pack import pack\n"
        "if __name__ == '__main__':\n"
        "    config = PackConfig(**ast.literal_eval(sys.argv[2]))\n"
        "    print('ready', flush=True)\n"
        f"    pack(Path({str(sources)!r}), Path({str(tokenizer_folder)!r}),\n"
        f"         Path({str(tmp_path / 'out')!r}), config, workers=int(sys.argv[1]))\n"
    )
    (tmp_path / "run_pack.py").write_text(script)
    started: list[subprocess.Popen[str]] = []

    def begin(workers: int, config: PackConfig = CONFIG) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "run_pack.py"), str(workers), repr(asdict(config))],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_pack_killed_after_its_first_shard_goes_on_to_the_same_bytes(
    tmp_path, start, packed, sources, tokenizer_folder
):
    out = tmp_path / "out"
    process = start(1)
    wait_for(lambda: list(out.glob("train/32/*.arrow")))
    process.kill()
    process.wait()
    assert not (out / "manifest.json").exists()
    pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert content(out) == content(packed)
    assert list(verify(out)) == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pack_killed_at_twenty_random_moments_goes_on_to_the_same_bytes(
    tmp_path, start, sources, tokenizer_folder, layout, workers
):
    out, config = tmp_path / "out", LAYOUTS[layout]
    pack(sources, tokenizer_folder, tmp_path / "whole", config, workers=1)
    start(workers, config).wait()  # code is loaded, or compiled
    shutil.rmtree(out)
    process = start(workers, config)
    began = time.monotonic()
    process.wait()
    whole = time.monotonic() - began
    seed = 2 * list(LAYOUTS).index(layout) + workers
    for moment in np.random.default_rng(seed).uniform(0, 1, 20) * whole:
        shutil.rmtree(out, ignore_errors=True)
        process = start(workers, config)
        time.sleep(moment)
        process.kill()
        process.wait()
        time.sleep(0.3)  # for the workers to notice
        pack(sources, tokenizer_folder, out, config, workers=1)
        assert content(out) == content(tmp_path / "whole")
        assert list(verify(out)) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("to_group", [True, False])
def test_an_interrupt_ends_a_pack_of_two_workers(
    tmp_path, start, packed, sources, tokenizer_folder, to_group
):
    out = tmp_path / "out"
    process = start(2)
    wait_for(lambda: (out / ".unfinished" / "manifest.json").exists())
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert content(out) == content(packed)
    assert list(verify(out)) == []


def test_what_a_full_disk_left_is_taken_up_again(
    tmp_path, packed, sources, tokenizer_folder, monkeypatch
):
    """The third file fails to be written; as a disk that was full and then was not."""
    out = tmp_path / "out"
    (out / "train/32").mkdir(parents=True)
    (out / ".unfinished").mkdir()
    (out / "train/32/part-00002.arrow.partial").mkdir()  # a file cannot be opened there
    with pytest.raises(OSError, match="part-00002"):
        pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert not (out / "manifest.json").exists()
    (out / "train/32/part-00002.arrow.partial").rmdir()
    pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert content(out) == content(packed)


def test_a_run_killed_while_it_cleaned_up_leaves_nothing_behind(copy, sources, tokenizer_folder):
    """The manifest is written, what was needed to resume is not yet deleted."""
    manifest = read_manifest(copy)
    assert manifest is not None
    (copy / ".unfinished").mkdir()
    replace(manifest, files={}, counts={}, versions={}).write(copy / ".unfinished")
    assert pack(sources, tokenizer_folder, copy, CONFIG, workers=1).was_finished
    assert list(verify(copy)) == []
