import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.executors import Crew
from pipeline.stage import UNFINISHED, Part, finish, finished, run_parts
from shards.errors import DataError
from shards.files import write_text
from shards.manifest import Manifest, read_manifest, record_file

PLAN = Manifest(stage="pack", config={"seed": 1, "width": 64}, inputs={"text": "00"}, files={})


@dataclass(frozen=True)
class Letter:
    """A task: write one file that holds its name."""

    name: str
    out: Path


class Writer:
    """Does tasks, remembers which, and is interrupted before one of them."""

    def __init__(self, interrupted_at: str | None = None) -> None:
        self.done: list[str] = []
        self.interrupted_at = interrupted_at

    def __call__(self, task: Letter) -> Part:
        if task.name == self.interrupted_at:
            raise KeyboardInterrupt
        self.done.append(task.name)
        write_text(task.out / f"{task.name}.txt", task.name * 10)
        file = record_file(task.out / f"{task.name}.txt")
        return Part({f"{task.name}.txt": file}, {"letters": 10})


@pytest.fixture
def tasks(tmp_path: Path) -> list[Letter]:
    return [Letter(name, tmp_path) for name in "abcd"]


@pytest.fixture
def made(tmp_path: Path, tasks: list[Letter]) -> Path:
    """A finished folder."""
    parts = do_all(tmp_path, PLAN, tasks, Writer())
    files = {name: file for part in parts for name, file in part.files.items()}
    finish(tmp_path, replace(PLAN, files=files))
    return tmp_path


@pytest.fixture
def half_made(tmp_path: Path, tasks: list[Letter]) -> Path:
    """A folder whose making was interrupted after the parts a and b."""
    with pytest.raises(KeyboardInterrupt):
        do_all(tmp_path, PLAN, tasks, Writer(interrupted_at="c"))
    return tmp_path


def do_all(folder: Path, plan: Manifest, tasks, writer: "Writer") -> list[Part]:
    return [part for _, part in run_parts(folder, plan, tasks, writer, Crew(1))]


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def is_finished(folder: Path, plan: Manifest = PLAN) -> bool:
    return finished(folder, plan.stage, plan.config, plan.inputs) is not None


def test_parts_come_in_the_order_of_their_tasks(tmp_path: Path, tasks: list[Letter]):
    parts = do_all(tmp_path, PLAN, tasks, Writer())
    assert [list(part.files) for part in parts] == [[f"{name}.txt"] for name in "abcd"]


def test_a_stage_without_tasks_has_no_parts(tmp_path: Path):
    assert list(run_parts(tmp_path, PLAN, [], Writer(), Crew(2))) == []


def write_letter(task: Letter) -> Part:
    return Writer()(task)


def test_parts_of_several_workers_come_in_the_order_of_their_tasks(tmp_path, tasks):
    names = [task.name for task, _ in run_parts(tmp_path, PLAN, tasks, write_letter, Crew(2))]
    assert names == ["a", "b", "c", "d"]


@pytest.mark.parametrize("workers", [1, 2])
def test_at_a_none_all_before_it_is_there(tmp_path: Path, tasks: list[Letter], workers: int):
    came = []

    def drawn():
        yield tasks[0]
        yield tasks[1]
        yield None
        assert came == ["a", "b"]
        yield tasks[2]

    for task, _ in run_parts(tmp_path, PLAN, drawn(), write_letter, Crew(workers)):
        came.append(task.name)
    assert came == ["a", "b", "c"]


def test_tasks_are_drawn_a_few_at_a_time(tmp_path: Path):
    drawn = []

    def tasks():
        for number in range(40):
            drawn.append(number)
            yield Letter(f"n{number}", tmp_path)

    results = run_parts(tmp_path, PLAN, tasks(), write_letter, Crew(2))
    for done, _ in enumerate(results, start=1):
        assert len(drawn) - done <= 4


def test_a_finished_folder_holds_its_files_and_the_manifest_only(made: Path):
    assert names_in(made) == {"a.txt", "b.txt", "c.txt", "d.txt", "manifest.json"}
    assert not (made / UNFINISHED).exists()


def test_finished_work_is_recognised(made: Path):
    manifest = read_manifest(made)
    assert finished(made, PLAN.stage, PLAN.config, PLAN.inputs) == manifest


def test_a_folder_without_manifest_is_not_finished(half_made: Path, tmp_path: Path):
    assert not is_finished(half_made)
    assert not is_finished(tmp_path / "missing")


@pytest.mark.parametrize("damage", ["delete", "cut", "change"])
def test_a_damaged_folder_is_not_finished(made: Path, damage: str):
    path = made / "b.txt"
    if damage == "delete":
        path.unlink()
    else:
        path.write_text("b" if damage == "cut" else "x" * 10)
        os.utime(path, ns=(1, 1))
    assert not is_finished(made)


OTHER_PLANS = {
    "was made by `pack`, not `fetch`": replace(PLAN, stage="fetch"),
    "was made with seed 1, not 2": replace(PLAN, config={"seed": 2, "width": 64}),
    "was made with new None, not 3": replace(PLAN, config=PLAN.config | {"new": 3}),
    "was made from another text than the present one": replace(PLAN, inputs={"text": "11"}),
    "was made without more, which is there now": replace(PLAN, inputs=PLAN.inputs | {"more": "22"}),
}


@pytest.mark.parametrize(("problem", "plan"), OTHER_PLANS.items())
def test_a_finished_folder_of_another_plan_is_refused(made: Path, problem: str, plan: Manifest):
    with pytest.raises(DataError) as caught:
        is_finished(made, plan)
    assert caught.value.problem == f"{made} {problem}"
    assert caught.value.remedy == f"choose another folder, or delete {made} to make it anew"


@pytest.mark.parametrize(("problem", "plan"), OTHER_PLANS.items())
def test_an_unfinished_folder_of_another_plan_is_refused(
    half_made: Path, tasks: list[Letter], problem: str, plan: Manifest
):
    writer = Writer()
    with pytest.raises(DataError) as caught:
        do_all(half_made, plan, tasks, writer)
    assert caught.value.problem == f"{half_made} {problem}"
    assert writer.done == []


def test_an_interrupted_folder_goes_on_where_it_was(half_made: Path, tasks: list[Letter]):
    writer = Writer()
    parts = do_all(half_made, PLAN, tasks, writer)
    assert writer.done == ["c", "d"]
    assert parts == [
        Part({f"{name}.txt": record_file(half_made / f"{name}.txt")}, {"letters": 10})
        for name in "abcd"
    ]


def test_an_unfinished_part_that_was_damaged_is_made_again(half_made: Path, tasks: list[Letter]):
    (half_made / "a.txt").write_text("x")
    writer = Writer()
    do_all(half_made, PLAN, tasks, writer)
    assert writer.done == ["a", "c", "d"]
    assert (half_made / "a.txt").read_text() == "a" * 10


def test_a_part_that_was_moved_to_another_time_is_kept(half_made: Path, tasks: list[Letter]):
    os.utime(half_made / "a.txt", ns=(1, 1))
    writer = Writer()
    do_all(half_made, PLAN, tasks, writer)
    assert writer.done == ["c", "d"]


def test_a_part_of_a_plan_that_was_never_written_is_not_trusted(
    tmp_path: Path, tasks: list[Letter]
):
    """Its record lies there, but nothing says what it was made from."""
    do_all(tmp_path, PLAN, tasks, Writer())
    (tmp_path / UNFINISHED / "manifest.json").unlink()
    writer = Writer()
    do_all(tmp_path, PLAN, tasks, writer)
    assert writer.done == ["a", "b", "c", "d"]


def test_a_broken_record_of_a_part_is_made_again(half_made: Path, tasks: list[Letter]):
    (half_made / UNFINISHED / "a.json").write_text('{"files": ')
    writer = Writer()
    do_all(half_made, PLAN, tasks, writer)
    assert writer.done == ["a", "c", "d"]


def test_parts_of_other_library_versions_are_not_mixed(half_made: Path, tasks: list[Letter]):
    """DESIGN: the output is a function of the library versions too."""
    newer = replace(PLAN, versions={"tokenizers": "999"})
    writer = Writer()
    do_all(half_made, newer, tasks, writer)
    assert writer.done == ["a", "b", "c", "d"]


def test_the_plan_is_written_before_the_first_part(tmp_path: Path, tasks: list[Letter]):
    with pytest.raises(KeyboardInterrupt):
        do_all(tmp_path, PLAN, tasks, Writer(interrupted_at="a"))
    assert read_manifest(tmp_path / UNFINISHED) == PLAN
    assert names_in(tmp_path) == {".unfinished/manifest.json"}


def test_a_cluster_that_cannot_be_does_not_claim_the_folder(tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(DataError, match="not the first of an MPI job"):
        list(run_parts(out, PLAN, [Letter("a", out)], write_letter, Crew(1, "mpi")))
    assert not out.exists()


def marks(folder: Path) -> list[str]:
    return [path.name for path in (folder / UNFINISHED).glob("command-*")]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_mark_of_a_command_stands_as_long_as_it_works(tmp_path, tasks, workers: int):
    """Tasks of a command that was killed find theirs no more."""
    (tmp_path / UNFINISHED).mkdir()
    PLAN.write(tmp_path / UNFINISHED)
    (tmp_path / UNFINISHED / "command-killed").touch()
    results = run_parts(tmp_path, PLAN, tasks, write_letter, Crew(workers))
    next(results)
    [mark] = marks(tmp_path)
    assert mark != "command-killed"
    results.close()
    assert marks(tmp_path) == []


def test_only_what_a_stage_has_left_half_written_is_removed(made: Path):
    attempt = "0123456789abcdef" * 2
    left = {
        "train/64/part-00003.arrow.partial",
        f"validation/64/part-00003-1.arrow.{attempt}.partial",
        f"part-00012.parquet.{attempt}.partial",
        "tokenizer/tokenizer.json.partial",
        "manifest.json.partial",
    }
    mine = {"thesis.partial", "notes/part-one.arrow.partial", "train/part-00003.csv.partial"}
    before = names_in(made)
    for name in left | mine:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).touch()
    finish(made, PLAN)
    assert names_in(made) == before | mine


def test_a_part_is_recorded_as_soon_as_it_is_done(half_made: Path):
    records = {
        path.name: json.loads(path.read_text()) for path in (half_made / UNFINISHED).glob("?.json")
    }
    assert list(sorted(records)) == ["a.json", "b.json"]
    assert records["a.json"]["counts"] == {"letters": 10}
