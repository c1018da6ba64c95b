import operator
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from cli import main
from pipeline import compiled, executors
from pipeline import errand as errands
from pipeline.errand import Errand, all_versions, source_hash
from pipeline.executors import Crew, Pool, open_pool
from shards.errors import DataError
from shards.files import ATTEMPT, Attempt, write_atomically, write_text


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    path = tmp_path / "out" / ".unfinished" / "command-1"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.fixture
def errand(mark: Path) -> Errand[int, int]:
    return Errand(operator.neg, mark, {}, source_hash())


@pytest.mark.parametrize("name", ["dask", "dask://host", "dask://:1", "host:1", "dask://a:b", "x"])
def test_an_executor_of_another_name_is_refused(name: str):
    with pytest.raises(ValueError, match="none of processes, mpi, dask://HOST:PORT"):
        Crew(2, name)


def test_paths_are_absolute_where_tasks_go_to_other_machines():
    assert Crew(2).path(Path("a")) == Path("a")
    assert Crew(2, "dask://host:8786").path(Path("a")) == Path.cwd() / "a"


def test_a_window_holds_two_tasks_for_each_worker(mark: Path):
    with open_pool(Crew(3), mark, {}, operator.neg) as pool:
        assert pool.window() == 6


def test_mpi_is_refused_outside_of_a_job(mark: Path):
    crew = Crew(1, "mpi")
    with pytest.raises(DataError, match="mpiexec -n 3"), open_pool(crew, mark, {}, abs):
        pass


@contextmanager
def listening(answer: bytes):
    """Yield the address of something that is no scheduler: it sends this, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
                done.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"dask://127.0.0.1:{server.getsockname()[1]}"
        done.set()
        thread.join()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", bytes(8), b"\4" + bytes(7) + b"x"])
def test_where_something_else_listens_there_is_no_scheduler(mark, monkeypatch, answer: bytes):
    """dask's own client would wait for its greeting for ever."""
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.3)
    start = time.monotonic()
    with (
        listening(answer) as address,
        pytest.raises(DataError, match="no dask scheduler answers at"),
        open_pool(Crew(1, address), mark, {}, abs),
    ):
        pass
    assert time.monotonic() - start < 5  # most of it is the import


def test_a_scheduler_that_is_being_started_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"dask://127.0.0.1:{server.getsockname()[1]}"
    assert not executors._hear_greeting(address, time.monotonic() + 10)
    with pytest.raises(ConnectionRefusedError):
        executors._hear_greeting(address, time.monotonic() - 1)


def test_a_worker_with_several_threads_that_joins_later_is_refused():
    client = SimpleNamespace(nthreads=lambda: {"tcp://a:1": 1, "tcp://b:1": 4})
    with pytest.raises(DataError, match="tcp://b:1 has 4 threads"):
        executors._count_workers(client, "dask://host:8786")


WRONG_CREWS = ["--executor far", "--executor dask://host:1 --workers 2", "--executor="]


@pytest.mark.parametrize("command", ["fetch text --from x", "pack"])
@pytest.mark.parametrize("options", WRONG_CREWS)
def test_a_wrong_choice_of_workers_ends_with_2(command: str, options: str):
    result = CliRunner().invoke(main, f"{command} {options}".split())
    assert result.exit_code == 2, result.output


def test_a_forecast_is_made_on_this_machine():
    result = CliRunner().invoke(main, ["pack", "--dry-run", "--executor", "dask://host:1"])
    assert result.exit_code == 2
    assert "--executor" in result.output


def test_an_errand_does_its_task(errand: Errand[int, int]):
    assert errand(3) == -3


def test_an_errand_to_a_machine_without_the_folder_is_refused(errand, mark: Path):
    mark.unlink()
    with pytest.raises(DataError, match=f"does not see {mark.parent.parent}"):
        errand(3)


def _write_late(mark: Path) -> None:
    out = mark.parent.parent
    write_text(out / "first", "in time")
    mark.unlink()
    write_text(out / "second", "late")


def test_an_errand_puts_no_file_in_its_place_once_the_command_has_ended(errand, mark: Path):
    with pytest.raises(DataError, match="or the command has ended"):
        replace(errand, function=_write_late)(mark)
    names = [path.name for path in mark.parent.parent.iterdir()]
    assert sorted(names) == [".unfinished", "first"]


def test_an_errand_always_looks_at_the_versions_of_python_and_numba():
    assert set(all_versions({"pyarrow": "1"})) == {"python", "numba", "pyarrow"}
    assert "none" not in all_versions({}).values()
    assert all_versions({"python": "2.7"})["python"] == "2.7"


@pytest.mark.parametrize("name", ["numpy", "python", "nothing-of-this-name"])
def test_an_errand_to_a_machine_with_other_versions_is_refused(errand, name: str):
    with pytest.raises(DataError, match=rf"has {name} .*, not 0\.0"):
        replace(errand, versions={name: "0.0"})(3)


def test_an_errand_to_other_code_is_refused(errand):
    with pytest.raises(DataError, match="another state of Hearth's code"):
        replace(errand, sources="0")(3)


def test_an_editors_file_beside_the_sources_is_none_of_them(tmp_path: Path, monkeypatch):
    """Emacs leaves a link to nothing there, `.#pack.py`."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "pack.py").touch()
    monkeypatch.setattr(errands, "__file__", str(tmp_path / "pipeline" / "errand.py"))
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "pipeline" / "compiled.py"))
    before = source_hash.__wrapped__(), compiled._cache_folder()
    (tmp_path / "pipeline" / ".#pack.py").symlink_to("me@host.1")
    assert (source_hash.__wrapped__(), compiled._cache_folder()) == before


def _attempt(_: int) -> str:
    return ATTEMPT.get().name


def test_each_attempt_has_temporary_files_of_its_own(errand):
    attempts = [replace(errand, function=_attempt)(number) for number in range(2)]
    assert len({"", *attempts}) == 3
    assert ATTEMPT.get() == Attempt()


def test_two_attempts_at_a_file_do_not_meet(tmp_path: Path):
    """The slower one of them replaces the same bytes."""
    path = tmp_path / "part"
    first, second = write_atomically(path), write_atomically(path)
    token = ATTEMPT.set(Attempt(".one"))
    one = first.__enter__()
    ATTEMPT.reset(token)
    two = second.__enter__()
    one.write(b"same")
    two.write(b"same")
    assert len(list(tmp_path.iterdir())) == 2
    for attempt in (first, second):
        attempt.__exit__(None, None, None)
        assert path.read_bytes() == b"same"
    assert list(tmp_path.iterdir()) == [path]


class Interrupted(ThreadPoolExecutor):
    """An executor in whose code Ctrl-C comes, where it would leave locks taken."""

    sent: Future[Any] | None = None

    def submit(self, function: Callable[..., Any], /, *tasks: Any, **named: Any) -> Future[Any]:
        os.kill(os.getpid(), signal.SIGINT)
        self.sent = super().submit(function, *tasks, **named)
        return self.sent


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_an_interrupt_while_a_task_is_sent_is_raised_when_it_is_sent():
    with Interrupted(1) as executor:
        pool = Pool(executor, operator.neg, lambda: 1)
        with pytest.raises(KeyboardInterrupt):
            pool.submit(3)
        assert executor.sent is not None
        pool.wait_for_one()
        assert executor.sent.result() == -3


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_an_interrupt_ends_the_wait_for_a_task():
    is_over = threading.Event()

    def interrupt_and_wait(
        pool: Pool[Callable[[], bool], bool], helper: ThreadPoolExecutor
    ) -> None:
        helper.submit(os.kill, os.getpid(), signal.SIGINT)
        pool.wait_for_one()

    with ThreadPoolExecutor(2) as executor:
        pool = Pool(executor, operator.call, lambda: 1)
        pool.submit(is_over.wait)
        with pytest.raises(KeyboardInterrupt):
            interrupt_and_wait(pool, executor)
        is_over.set()
