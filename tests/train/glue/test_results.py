"""results.json: what a later run goes on with, and what it must not touch."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import DataError
from tests.train.glue.made import CONFIG, counts, glue_results, task_results
from train.glue.results import begin_results, middle_seed, read_results

SMALL = glue_results(task_results("cola", (0.5, 0.7), (0.1, 0.2)), task_results("rte", (0.6,)))


def test_results_are_read_as_they_were_written(tmp_path):
    SMALL.write(tmp_path)
    assert read_results(tmp_path / "results.json") == SMALL


def test_the_file_holds_median_and_spread_for_other_readers(tmp_path):
    SMALL.write(tmp_path)
    cola, rte = json.loads((tmp_path / "results.json").read_text())["tasks"]
    assert cola["summary"] == {
        "pretrained": {"dev matthews": {"median": 0.6, "lowest": 0.5, "highest": 0.7}},
        "random": {"dev matthews": {"median": pytest.approx(0.15), "lowest": 0.1, "highest": 0.2}},
    }
    assert list(rte["summary"]) == ["pretrained"]


def test_tasks_stand_in_glue_s_order_and_a_newer_result_takes_the_place_of_an_older():
    newer = task_results("cola", (0.5, 0.7, 0.8), (0.1, 0.2))
    results = glue_results(task_results("rte", (0.6,)), SMALL.tasks[0]).with_task(newer)
    assert [task.task for task in results.tasks] == ["cola", "rte"]
    assert results.task("cola") == newer
    assert results.task("mnli") is None


def test_a_seed_is_added_to_its_model():
    task = task_results("rte", (0.6,), (0.4,))
    (third,) = task_results("rte", (0.7,)).pretrained
    third = replace(third, seed=1)
    assert task.with_seed("random", third).values("random", "dev", "accuracy") == [0.4, 0.7]
    assert task.with_seed("pretrained", third).of("pretrained")[1] == third


def test_without_resume_results_that_are_there_are_an_error(tmp_path):
    assert begin_results(SMALL, tmp_path, resume=False) == SMALL
    SMALL.write(tmp_path)
    with pytest.raises(DataError, match=r"is there already: go on .* --resume, or .* --out than"):
        begin_results(SMALL, tmp_path, resume=False)


def test_a_resume_with_nothing_there_begins(tmp_path):
    fresh = glue_results()
    assert begin_results(fresh, tmp_path, resume=True) == fresh


def test_a_resume_takes_over_what_was_done_and_may_ask_for_more_seeds(tmp_path):
    SMALL.write(tmp_path)
    fresh = glue_results(config=CONFIG | {"seeds": 5}, versions={"torch": "3"})
    begun = begin_results(fresh, tmp_path, resume=True)
    assert begun.tasks == SMALL.tasks
    assert begun.config["seeds"] == 5
    assert begun.versions == {"torch": "2.13 and 3"}
    begun.write(tmp_path)
    again = begin_results(fresh, tmp_path, resume=True)
    assert again.versions == {"torch": "2.13 and 3"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": CONFIG | {"seeds": 2}}, "seeds 3, not 2"),
        ({"config": CONFIG | {"max_length": 64}}, "max_length 128, not 64"),
        ({"config": CONFIG | {"recipe": "sane"}}, "recipe 'electra', not 'sane'"),
        ({"config": CONFIG | {"write_submission": True}}, "write_submission False, not True"),
        ({"config": CONFIG | {"recipe": "sane", "seeds": 5}}, "recipe 'electra', not 'sane'"),
        ({"digest": "34"}, r"the model runs/a \(\w+\), not runs/a \(\w+\)"),
    ],
)
def test_a_resume_with_something_else_names_the_field(tmp_path, changes, named):
    SMALL.write(tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(DataError, match=f"made with {named}: choose another --out, or delete"):
        begin_results(glue_results(**changes), tmp_path, resume=True)
    assert (tmp_path / "results.json").read_bytes() == before


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_a_damaged_results_file_is_named(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"results\.json .*: choose another --out, or delete"):
        read_results(path)


FIELDS = [
    ("digest",),
    ("tasks", 0, "task"),
    ("tasks", 0, "pretrained"),
    ("tasks", 0, "pretrained", 0, "seed"),
    ("tasks", 0, "pretrained", 0, "scores"),
    ("tasks", 0, "counts", "dev"),
]


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_a_results_file_that_lacks_a_field_is_named(tmp_path, field):
    SMALL.write(tmp_path)
    document = json.loads((tmp_path / "results.json").read_text())
    inside = document
    for name in field[:-1]:
        inside = inside[name]
    del inside[field[-1]]
    (tmp_path / "results.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"results\.json .*: choose another --out, or delete"):
        read_results(tmp_path / "results.json")


def test_a_missing_seed_is_no_result(tmp_path):
    SMALL.write(tmp_path)
    document = json.loads((tmp_path / "results.json").read_text())
    del document["tasks"][0]["pretrained"][0]
    (tmp_path / "results.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="the seeds of pretrained are not 0, 1, 2"):
        read_results(tmp_path / "results.json")


def test_results_of_the_first_version_are_refused_by_number(tmp_path):
    (tmp_path / "results.json").write_text('{"model": "x", "tasks": []}')
    with pytest.raises(DataError, match="is of version 1, this Hearth reads 2"):
        read_results(tmp_path / "results.json")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (counts(8551, official=8551), "8,551"),
        (counts(8551), "8,551"),
        (counts(8999, official=104743), "8,999 of 104,743 (partial)"),
        (counts(10000, in_file=67349, official=67349), "10,000 of 67,349 (capped)"),
        (
            counts(100, in_file=8999, official=104743),
            "100 of 104,743 (partial; capped, 8,999 there)",
        ),
        (counts(8, official=10, skipped=2), "8"),
        (counts(8, official=10, skipped=1), "8 of 10 (partial)"),
        (counts(12, official=10), "12 of 12 (not the official file of 10)"),
    ],
)
def test_a_part_is_never_passed_off_as_the_whole(made, words):
    assert str(made) == words


def test_the_middle_seed_is_the_lower_one_of_an_even_number():
    assert middle_seed([0.3, 0.1, 0.2]) == 2
    assert middle_seed([0.3, 0.1, 0.2, 0.4]) == 2
    assert middle_seed([0.5]) == 0
    assert middle_seed([0.5, 0.5, 0.5]) == 1
