import ast
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.workers import IS_FORKED, in_order, process_pool
from shards.errors import DataError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")

ROOT = Path(__file__).parents[2]
PARENT = """
import os, sys, time
from pipeline.workers import process_pool

if __name__ == "__main__":
    with process_pool(2) as executor:
        print(*set(executor.map(operate, [0.3] * 4)), flush=True)
        for _ in executor.map(time.sleep, [60, 60]):
            pass
"""
OPERATE = """
def operate(seconds):
    time.sleep(seconds)
    return os.getpid()
"""


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie waits for its parent only."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return False
        return subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode == 0
    return state != "Z"


def wait_until_dead(pids: list[int], seconds: float) -> list[int]:
    """Return those that are still alive after so many seconds."""
    deadline = time.monotonic() + seconds
    while (alive := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


@pytest.fixture
def parent(tmp_path: Path):
    """A process with two busy workers, and their ids."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT.replace("\nif", OPERATE + "\nif", 1))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        yield process, [int(pid) for pid in process.stdout.readline().split()]
        process.kill()


@pytest.fixture(scope="module")
def executor():
    with process_pool(2) as executor:
        yield executor


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(in_order(operator.neg, range(50), workers)) == [-number for number in range(50)]


def test_no_tasks_give_no_results():
    assert list(in_order(operator.neg, [], 2)) == []


def test_tasks_are_taken_a_few_at_a_time():
    taken = []

    def tasks():
        for number in range(40):
            taken.append(number)
            yield number

    for done, _ in enumerate(in_order(operator.neg, tasks(), 2), start=1):
        assert len(taken) - done <= 4


def test_work_is_done_in_other_processes(executor):
    assert os.getpid() not in set(executor.map(_pid, range(8)))


def _pid(_: int) -> int:
    return os.getpid()


def test_all_processes_are_there_from_the_beginning():
    """One that is not known yet could not be ended."""
    before = set(multiprocessing.active_children())
    with process_pool(3):
        assert len(set(multiprocessing.active_children()) - before) == 3


def test_a_process_that_is_not_of_the_pool_is_left_alone():
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    other.start()
    try:
        with pytest.raises(ZeroDivisionError), process_pool(1) as executor:
            executor.submit(operator.truediv, 1, 0).result()
        assert is_alive(other.pid or 0)
    finally:
        other.kill()
        other.join()


def test_an_exception_of_a_task_is_raised_and_ends_the_workers():
    before = set(multiprocessing.active_children())
    with pytest.raises(ZeroDivisionError), process_pool(2) as executor:
        list(executor.map((1).__truediv__, [1, 0]))
    assert set(multiprocessing.active_children()) <= before


def test_a_killed_worker_is_an_error_that_says_what_to_do():
    """As the system does when memory is short."""
    with pytest.raises(DataError) as caught, process_pool(2) as executor:
        list(executor.map(_die, range(4)))
    assert caught.value.problem == "a worker process was killed"
    assert "--workers" in caught.value.remedy


def _die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


EARLY = """
import sys

if __name__ == "__main__":
    from pipeline.workers import begin_server, process_pool

    begin_server("pipeline.preload")
    with process_pool(2) as executor:
        from origin import modules
        print(executor.submit(modules).result())
"""
ORIGIN = """
import sys

def modules():
    names = ("pipeline", "pipeline.preload", "numba")
    return [getattr(sys.modules.get(name), "__file__", None) for name in names]
"""


def test_workers_are_forked_from_a_process_that_has_loaded_our_modules_not_others(tmp_path):
    """Another package of our name lies where the command is run."""
    if not IS_FORKED:
        pytest.skip("workers are not forked here")
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "early.py").write_text(EARLY)
    (scripts / "origin.py").write_text(ORIGIN)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(scripts / "early.py")]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    pipeline, preload, numba = ast.literal_eval(result.stdout)
    assert pipeline == str(ROOT / "pipeline" / "__init__.py")
    assert preload == str(ROOT / "pipeline" / "preload.py")
    assert numba


def test_workers_of_a_killed_parent_die(parent):
    process, workers = parent
    assert len(workers) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_until_dead(workers, 5) == []


def test_an_interrupt_of_the_group_ends_all_within_seconds(parent):
    """As a terminal's Ctrl-C, which reaches the workers too."""
    process, workers = parent
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=5)
    assert wait_until_dead(workers, 2) == []


def test_an_interrupt_of_the_parent_alone_ends_the_workers_too(parent):
    process, workers = parent
    process.send_signal(signal.SIGINT)
    process.wait(timeout=5)
    assert wait_until_dead(workers, 2) == []
