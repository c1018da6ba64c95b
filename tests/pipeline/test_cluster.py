"""Real schedulers on this machine: dask with two workers, and MPI; one worker is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shards.manifest import read_manifest

ROOT = Path(__file__).parents[2]
TASKS = Path(__file__).with_name("cluster_tasks.py")
BIN = Path(sys.executable).parent
NUMBERS = [str(number) for number in range(12)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's"),
]


@pytest.fixture(scope="module")
def environment():
    """Where processes find our modules and those of the tests."""
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{TASKS.parent}"}


class Dask:
    """A scheduler with two worker processes."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
        self.folder, self.environment = folder, environment
        with socket.socket() as some:
            some.bind(("127.0.0.1", 0))
            self.port = some.getsockname()[1]
        self.address = f"dask://127.0.0.1:{self.port}"
        self.processes = [
            self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port)),
            self._start("worker", f"tcp://127.0.0.1:{self.port}", "--nworkers", "2"),
        ]

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [BIN / "dask", kind, *options, "--no-dashboard"]
        if kind == "worker":
            command += ["--nthreads", "1", "--local-directory", self.folder]
        with (self.folder / f"{kind}.log").open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, cwd=self.folder
            )

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def dask(tmp_path_factory, environment):
    cluster = Dask(tmp_path_factory.mktemp("dask"), environment)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def mpiexec():
    """The command line before the script."""
    pytest.importorskip("mpi4py", reason="the extra `cluster` is not installed")
    if not (BIN / "mpiexec").exists():
        pytest.skip("no mpiexec beside this Python")
    return [BIN / "mpiexec", "-n", "3", sys.executable, "-m", "mpi4py.futures"]


@pytest.fixture
def run(environment, tmp_path):
    """Return a function that runs a command in a folder of its own."""

    def run(*command):
        words = [str(word) for word in command]
        return subprocess.run(
            words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    return run


def attempts(out: Path) -> dict[int, int]:
    """Return how often each number was begun."""
    counts: dict[int, int] = {}
    for path in out.with_name(f"{out.name}-attempts").iterdir():
        number = int(path.name.partition("-")[0])
        counts[number] = counts.get(number, 0) + 1
    return counts


def files_of(out: Path) -> dict[str, str]:
    manifest = read_manifest(out)
    assert manifest is not None
    return {name: record.blake3 for name, record in manifest.files.items()}


def assert_whole(out: Path) -> None:
    names = {path.name for path in out.iterdir()}
    assert names == {"manifest.json", *(f"{number}.txt" for number in NUMBERS)}


def test_a_killed_worker_of_dask_costs_its_own_tasks_only(dask, run, tmp_path):
    out = tmp_path / "out"
    result = run(sys.executable, TASKS, out, dask.address, "deadly")
    assert result.stdout.split() == NUMBERS, result.stderr
    counts = attempts(out)
    assert counts[5] == 2
    assert sum(counts.values()) <= len(NUMBERS) + 4  # what had waited in that worker
    assert_whole(out)


@pytest.mark.parametrize("cluster", ["dask", "mpi"])
def test_an_error_of_a_task_is_the_same_line(cluster, request, run, tmp_path):
    lines = []
    for where in ("processes", cluster):
        executor, before = where, [sys.executable]
        if where == "dask":
            executor = request.getfixturevalue("dask").address
        elif where == "mpi":
            before = request.getfixturevalue("mpiexec")
        result = run(*before, TASKS, tmp_path / where, executor, "wrong")
        assert result.returncode == 1
        assert result.stdout.split() == NUMBERS[:5]
        lines.append(result.stderr.splitlines()[0])
    assert lines == ["Error: number 5 is wrong: take another"] * 2


def test_an_mpi_job_that_died_is_run_again_and_keeps_what_was_finished(mpiexec, run, tmp_path):
    out = tmp_path / "out"
    command = [*mpiexec, TASKS, out, "mpi", "deadly"]
    died = run(*command)
    assert died.returncode != 0
    kept = {path.stem for path in (out / ".unfinished").glob("part-*.json")}
    assert kept
    again = run(*command)
    assert again.returncode == 0, again.stderr
    assert again.stdout.split() == NUMBERS
    counts = attempts(out)
    assert all(counts[int(name.removeprefix("part-"))] == 1 for name in kept)
    assert counts[5] == 2
    assert_whole(out)


def test_an_interrupt_ends_a_run_on_dask_within_seconds(dask, environment, run, tmp_path):
    """What its workers have begun comes to its end, and writes nothing any more."""
    out = tmp_path / "out"
    command = [sys.executable, str(TASKS), str(out), dask.address, "slow"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [process.stdout.readline() for _ in range(4)] == ["0\n", "1\n", "2\n", "3\n"]
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().splitlines()[-1] == "interrupted"
        assert process.wait() == 1
        assert time.monotonic() - start < 4
    begun = attempts(out)
    assert run(sys.executable, TASKS, out, "processes").returncode == 0
    time.sleep(max(0, 6 - (time.monotonic() - start)))
    assert all(attempts(out)[number] == begun.get(number, 0) + (number > 3) for number in range(12))
    manifest = read_manifest(out)
    assert manifest is not None
    for name, record in manifest.files.items():
        assert (out / name).stat().st_mtime_ns == record.mtime_ns
    assert_whole(out)


def test_a_scheduler_that_dies_is_one_line(tmp_path, environment):
    cluster = Dask(tmp_path, environment)
    command = [sys.executable, str(TASKS), str(tmp_path / "out"), cluster.address, "slow"]
    try:
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "0\n"
            cluster.processes[0].kill()
            start = time.monotonic()
            [line] = process.stderr.read().splitlines()
            assert process.wait() == 1
        assert line.startswith(f"Error: the scheduler at {cluster.address} is gone: start it")
        assert time.monotonic() - start < 20
    finally:
        cluster.stop()


def test_a_pack_on_dask_and_on_mpi_has_the_bytes_of_one_process(
    dask, mpiexec, run, tmp_path, text_folder, tokenizer_folder, shards_folder
):
    """The paths are relative: a cluster's workers have working folders of their own."""
    (tmp_path / "text").symlink_to(text_folder)
    (tmp_path / "tokenizer").symlink_to(tokenizer_folder)
    options = ["--max-length", "64", "--validation-fraction", "0.1"]
    script = [ROOT / "cli.py", "pack", "--text", "text", "--tokenizer", "tokenizer", *options]
    for result in (
        run(*mpiexec, *script, "--out", "mpi"),
        run(sys.executable, *script, "--out", "dask", "--executor", dask.address),
    ):
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1].startswith("next: ")
    expected = files_of(shards_folder)
    assert files_of(tmp_path / "mpi") == expected
    assert files_of(tmp_path / "dask") == expected


def test_a_fetch_on_dask_and_on_mpi_has_the_bytes_of_one_process(
    dask, mpiexec, run, tmp_path, prose
):
    (tmp_path / "mine").mkdir()
    for number, text in enumerate(prose(40, 1)):
        (tmp_path / "mine" / f"{number}.txt").write_text(text)
    script = [ROOT / "cli.py", "fetch", "text", "--from", "mine", "--offline", "--data"]
    for result in (
        run(sys.executable, *script, "one", "--workers", "1"),
        run(*mpiexec, *script, "mpi"),
        run(sys.executable, *script, "dask", "--executor", dask.address),
    ):
        assert result.returncode == 0, result.stderr
    expected = files_of(tmp_path / "one" / "text" / "text")
    assert files_of(tmp_path / "mpi" / "text" / "text") == expected
    assert files_of(tmp_path / "dask" / "text" / "text") == expected


def test_a_scheduler_that_is_not_there_is_one_line(run, tmp_path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    result = run(sys.executable, TASKS, tmp_path / "out", "dask://127.0.0.1:1")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: no dask scheduler answers at dask://127.0.0.1:1: "
        "start `dask scheduler` there, or correct --executor"
    )
