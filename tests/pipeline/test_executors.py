import operator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from pipeline.errand import Errand, source_hash
from pipeline.executors import Crew, Plan, open_pool
from shards.errors import DataError
from shards.files import ATTEMPT, hash_file, write_atomically


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "out" / ".unfinished" / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    return path


@pytest.fixture
def errand(plan: Path) -> Errand[int, int]:
    return Errand(operator.neg, plan, hash_file(plan), {}, source_hash())


@pytest.mark.parametrize("name", ["dask", "dask://host", "dask://:1", "host:1", "dask://a:b", "x"])
def test_an_executor_of_another_name_is_refused(name: str):
    with pytest.raises(ValueError, match="none of processes, mpi, dask://HOST:PORT"):
        Crew(2, name)


def test_paths_are_absolute_where_tasks_go_to_other_machines():
    assert Crew(2).path(Path("a")) == Path("a")
    assert Crew(2, "dask://host:8786").path(Path("a")) == Path.cwd() / "a"


def test_a_window_holds_two_tasks_for_each_worker(plan: Path):
    with open_pool(Crew(3), Plan(plan, {}), operator.neg) as pool:
        assert pool.window() == 6


def test_mpi_is_refused_outside_of_a_job(plan: Path):
    crew = Crew(1, "mpi")
    with pytest.raises(DataError, match="mpiexec -n 3"), open_pool(crew, Plan(plan, {}), abs):
        pass


@pytest.mark.parametrize("command", ["fetch text --from x", "pack"])
@pytest.mark.parametrize("options", ["--executor far", "--executor dask://host:1 --workers 2"])
def test_a_wrong_choice_of_workers_ends_with_2(command: str, options: str):
    result = CliRunner().invoke(main, f"{command} {options}".split())
    assert result.exit_code == 2, result.output


def test_an_errand_does_its_task(errand: Errand[int, int]):
    assert errand(3) == -3


def test_an_errand_to_a_machine_without_the_folder_is_refused(errand, plan: Path):
    plan.unlink()
    with pytest.raises(DataError, match=f"does not see {plan.parent.parent}"):
        errand(3)


def test_an_errand_of_a_plan_that_was_replaced_is_refused(errand, plan: Path):
    plan.write_text("{ }")
    with pytest.raises(DataError, match=f"does not see {plan.parent.parent}"):
        errand(3)


@pytest.mark.parametrize("name", ["numpy", "python", "nothing-of-this-name"])
def test_an_errand_to_a_machine_with_other_versions_is_refused(errand, name: str):
    with pytest.raises(DataError, match=rf"has {name} .*, not 0\.0"):
        replace(errand, versions={name: "0.0"})(3)


def test_an_errand_to_other_code_is_refused(errand):
    with pytest.raises(DataError, match="another state of Hearth's code"):
        replace(errand, sources="0")(3)


def _attempt(_: int) -> str:
    return ATTEMPT.get()


def test_each_attempt_has_temporary_files_of_its_own(errand):
    attempts = [replace(errand, function=_attempt)(number) for number in range(2)]
    assert len({"", *attempts}) == 3
    assert ATTEMPT.get() == ""


def test_two_attempts_at_a_file_do_not_meet(tmp_path: Path):
    """The slower one of them replaces the same bytes."""
    path = tmp_path / "part"
    first, second = write_atomically(path), write_atomically(path)
    token = ATTEMPT.set(".one")
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
