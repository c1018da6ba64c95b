"""results.md: every number where a person looks for it, and no part passed off as the whole."""

import pytest

from pipeline.tasks import SCORED_TASKS
from tests.train.glue.made import counts, glue_results, task_results
from train.glue.published import EIGHT, PUBLISHED
from train.glue.table import average, label, page, table, write_table

ALL = glue_results(
    *(task_results(name, (0.7, 0.8, 0.9), (0.5, 0.6, 0.55)) for name in SCORED_TASKS)
)


def cells(text, start):
    """Return the cells of the only line of a table that begins like this."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_line_holds_median_spread_twin_majority_and_rows():
    lines = table(ALL)
    assert cells(lines, "task")[2:] == [
        *("pretrained", "random twin", "majority", "train rows", "dev rows"),
    ]
    assert cells(lines, "CoLA") == [
        *("CoLA", "matthews", "80.0 (70.0..90.0)", "55.0 (50.0..60.0)", "50.0", "8,551", "1,043"),
    ]
    assert cells(lines, "MNLI mismatched")[-1] == "9,832"
    assert len(lines.splitlines()) == 2 + len(SCORED_TASKS) + len(["mrpc", "qqp", "stsb", "mnli"])
    assert len({len(line) for line in lines.splitlines()}) == 1  # aligned


def test_seeds_that_are_not_done_are_counted():
    lines = table(glue_results(task_results("rte", (0.6, 0.7), (0.5,))))
    assert cells(lines, "RTE")[2:4] == ["65.0 (60.0..70.0) [2 of 3 seeds]", "50.0 [1 of 3 seeds]"]
    lines = table(glue_results(task_results("rte", (0.6, 0.7, 0.8))))
    assert cells(lines, "RTE")[2:4] == ["70.0 (60.0..80.0)", "-"]


def test_every_seed_is_on_the_page():
    text = page(glue_results(task_results("rte", (0.6, 0.7), (0.5,))))
    seeds = text.split("## Every seed")[1]
    pretrained, twin = [line for line in seeds.splitlines() if line.startswith("| RTE")]
    assert pretrained.split("|")[3:-1] == [" pretrained  ", " 60.0   ", " 70.0   "]
    assert [cell.strip() for cell in twin.split("|")[3:-1]] == ["random twin", "50.0", "-"]


def test_the_average_is_of_eight_medians_and_of_the_usual_metrics():
    values = dict(
        zip([task for task, *_ in EIGHT], (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), strict=True)
    )
    results = glue_results(*(task_results(name, (value,)) for name, value in values.items()))
    text = page(results)
    assert cells(text, "**this model**")[1:11] == [
        *("1,234", "10.0", "20.0", "30.0", "40.0", "50.0", "60.0", "70.0", "80.0", "45.00"),
    ]
    assert cells(text, "majority class")[2:11] == ["50.0"] * 8 + ["50.00"]
    assert [metric for _, _, metric, _ in EIGHT] == [
        *("matthews", "accuracy", "accuracy", "spearman"),
        *("accuracy", "accuracy", "accuracy", "accuracy"),
    ]


def test_there_is_no_average_of_seven():
    seven = glue_results(*(one for one in ALL.tasks if one.task != "qnli"))
    assert cells(page(seven), "**this model**")[10] == "not all eight"
    assert "This model's row differs: QNLI is not done." in page(seven)
    assert average([0.5] * 7 + [None]) is None
    assert average([0.5] * 8) == 0.5


def test_the_whole_is_compared_without_reserve():
    assert "This model's row differs" not in page(ALL)
    assert "## Beside published models" in page(ALL)


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (counts(8999, official=104743), "8,999 of 104,743 (partial)"),
        (counts(10000, in_file=104743, official=104743), "10,000 of 104,743 (capped)"),
        (counts(9, official=8), "9 of 9 (not the official file of 8)"),
    ],
)
def test_partial_and_capped_rows_are_named_in_the_table_and_beside_the_average(train, words):
    dev = counts(5463, official=5463)
    qnli = task_results("qnli", (0.6, 0.6, 0.6), counts={"train": train, "dev": dev})
    text = page(ALL.with_task(qnli))
    assert cells(table(ALL.with_task(qnli)), "QNLI")[-2] == words
    assert f"This model's row differs: QNLI train has {words}." in text


def test_rows_that_were_left_out_or_cut_are_named():
    made = {"train": counts(100, skipped=2, truncated=7), "dev": counts(10)}
    text = page(glue_results(task_results("qqp", (0.6,), counts=made)))
    assert "- qqp train: 2 rows without all fields left out, 7 of 100 rows cut to fit" in text
    assert "Rows not read as they are" not in page(ALL)


def test_published_rows_stand_with_their_protocol_and_source():
    text = page(ALL)
    assert [f"{one.average:.2f}" for one in PUBLISHED] == ["80.36", "79.50", "82.75"]
    assert cells(text, "ELECTRA-Small-OWT")[1:11] == [
        *("14M", "56.8", "88.3", "87.4", "86.8", "88.3", "78.9", "87.9", "68.5", "80.36"),
    ]
    for one in PUBLISHED:
        assert len(one.scores) == len(EIGHT)
        assert cells(text, one.model)[-2:] == [one.protocol, one.source]


def test_options_settings_and_versions_are_told():
    text = page(ALL)
    assert "recipe electra; max_length 128" in text
    assert "- cola: learning_rate 0.0001, epochs 3" in text
    assert "torch 2.13" in text
    assert "on cpu in float32; torch 2.13" in text


def test_the_protocol_names_what_is_not_the_recipe_s():
    assert cells(page(ALL), "its random twin")[-2] == "median of 3, recipe electra"
    changed = {**ALL.config, "learning_rate": 3e-4, "from_task": "mnli"}
    assert cells(page(glue_results(config=changed)), "**this model**")[-2] == (
        "median of 3, recipe electra, but learning rate 0.0003, MRPC, STS-B and RTE begun from MNLI"
    )


def test_the_best_epoch_is_told_to_be_chosen_on_dev():
    kept = glue_results(config={**ALL.config, "keep": "best"})
    assert "chosen by its dev score, which no table here shows" in page(kept)
    assert "chosen by its dev score" not in page(ALL)


def test_a_page_of_nothing_yet_can_be_written(tmp_path):
    write_table(glue_results(), tmp_path)
    assert "not all eight" in (tmp_path / "results.md").read_text()


def test_a_split_of_its_own_is_named():
    assert label("mnli", "dev_matched") == "MNLI matched"
    assert label("cola", "dev") == "CoLA"
