import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tasks import SCORED_TASKS, TASKS, choose_tasks, read_examples
from shards.errors import DataError

# Whatever can be a field: any character but those that divide fields and rows.
FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n"))


def write_split(folder, task, split, text, encoding="utf-8"):
    path = TASKS[task].path(folder, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@given(pairs=st.lists(st.tuples(FIELDS, FIELDS, st.sampled_from("01")), min_size=1))
def test_any_text_comes_back_as_it_was_written(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("glue")
    lines = ["index\tsentence1\tsentence2\tlabel"]
    lines += [f"{index}\t{a}\t{b}\t{label}" for index, (a, b, label) in enumerate(pairs)]
    write_split(folder, "wnli", "train", "\n".join(lines))
    examples = read_examples(TASKS["wnli"], folder, "train")
    assert examples.first == [a for a, _, _ in pairs]
    assert examples.second == [b for _, b, _ in pairs]
    assert examples.labels.tolist() == [int(label) for _, _, label in pairs]
    assert examples.skipped == 0


@given(sentences=st.lists(FIELDS, min_size=1))
def test_any_sentence_may_end_a_line(tmp_path_factory, sentences):
    folder = tmp_path_factory.mktemp("glue")
    write_split(folder, "cola", "dev", "".join(f"gj04\t1\t\t{one}\n" for one in sentences))
    assert read_examples(TASKS["cola"], folder, "dev").first == sentences


def test_cola_has_no_header_and_no_final_newline(tmp_path):
    write_split(tmp_path, "cola", "dev", "gj04\t1\t\tShe left.\ngj04\t0\t*\tLeft she the.")
    examples = read_examples(TASKS["cola"], tmp_path, "dev")
    assert examples.first == ["She left.", "Left she the."]
    assert examples.second is None
    assert examples.labels.tolist() == [1, 0]


def test_cola_test_has_a_header_and_no_labels(tmp_path):
    write_split(tmp_path, "cola", "test", "index\tsentence\n0\tShe left.\n")
    examples = read_examples(TASKS["cola"], tmp_path, "test")
    assert examples.first == ["She left."]
    assert examples.labels.tolist() == [-1]


def test_a_quotation_mark_is_a_character(tmp_path):
    text = 'index\tquestion\tsentence\tlabel\n0\t"Who\tHe\tentailment\n1\tWhy"\t"\tnot_entailment\n'
    write_split(tmp_path, "qnli", "dev", text)
    examples = read_examples(TASKS["qnli"], tmp_path, "dev")
    assert examples.first == ['"Who', 'Why"']
    assert examples.second == ["He", '"']
    assert examples.labels.tolist() == [0, 1]


def test_a_byte_order_mark_before_the_header_is_dropped(tmp_path):
    text = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tOne .\tTwo .\n"
    write_split(tmp_path, "mrpc", "train", text, "utf-8-sig")
    examples = read_examples(TASKS["mrpc"], tmp_path, "train")
    assert (examples.first, examples.second) == (["One ."], ["Two ."])


def test_rows_with_a_field_too_few_are_skipped_and_counted(tmp_path):
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    write_split(tmp_path, "qqp", "train", header + "1\t2\t3\tA?\tB? 0\n4\t5\t6\tC?\tD?\t1\n\n")
    examples = read_examples(TASKS["qqp"], tmp_path, "train")
    assert examples.first == ["C?"]
    assert examples.labels.tolist() == [1]
    assert examples.skipped == 2


def test_the_label_of_mnli_is_the_last_column(tmp_path):
    columns = [f"c{index}" for index in range(8)] + ["sentence1", "sentence2"]
    columns += [f"label{index}" for index in range(1, 6)] + ["gold_label"]
    values = ["x"] * 8 + ["A.", "B."] + ["neutral"] * 5 + ["entailment"]
    write_split(tmp_path, "mnli", "dev_matched", "\t".join(columns) + "\n" + "\t".join(values))
    task = TASKS["mnli"]
    examples = read_examples(task, tmp_path, "dev_matched")
    assert [task.labels[label] for label in examples.labels] == ["entailment"]
    assert (examples.first, examples.second) == (["A."], ["B."])


def stsb_row(score):
    header = (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"
    )
    return f"{header}\n0\tg\tf\ty\t0\ts\ts\tA.\tB.\t{score}\n"


def test_stsb_scores_are_numbers(tmp_path):
    write_split(tmp_path, "stsb", "train", stsb_row("3.800"))
    labels = read_examples(TASKS["stsb"], tmp_path, "train").labels
    assert labels.dtype == np.float32
    assert labels.tolist() == pytest.approx([3.8])


@pytest.mark.parametrize("score", ["5.1", "-0.1", "nan", "high", ""])
def test_a_score_outside_of_its_range_is_named(tmp_path, score):
    write_split(tmp_path, "stsb", "train", stsb_row(score))
    with pytest.raises(DataError, match="line 2: the score"):
        read_examples(TASKS["stsb"], tmp_path, "train")


def test_an_unknown_label_is_named_with_its_line(tmp_path):
    write_split(tmp_path, "sst2", "train", "sentence\tlabel\ngood \t1\nbad \t2\n")
    with pytest.raises(DataError, match=r"train\.tsv, line 3: the label '2' is none of"):
        read_examples(TASKS["sst2"], tmp_path, "train")


def test_a_missing_column_is_named(tmp_path):
    write_split(tmp_path, "sst2", "train", "sentence\tlable\ngood \t1\n")
    with pytest.raises(DataError, match="no column 'label'"):
        read_examples(TASKS["sst2"], tmp_path, "train")


@pytest.mark.parametrize("text", ["", "sentence\tlabel\n", "sentence\tlabel\none field\n"])
def test_a_file_without_rows_is_an_error(tmp_path, text):
    write_split(tmp_path, "sst2", "train", text)
    with pytest.raises(DataError, match=r"train\.tsv has no"):
        read_examples(TASKS["sst2"], tmp_path, "train")


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    path = write_split(tmp_path, "sst2", "train", "sentence\tlabel\ngood\t1\n", "utf-16")
    with pytest.raises(DataError, match="is not UTF-8"):
        read_examples(TASKS["sst2"], tmp_path, "train")
    path.unlink()
    with pytest.raises(DataError, match=r"no file .* run `python cli.py fetch glue"):
        read_examples(TASKS["sst2"], tmp_path, "train")


def test_no_task_is_an_error():
    with pytest.raises(ValueError, match="no task named"):
        choose_tasks([])


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = TASKS["cola"].path(tmp_path_factory.mktemp("glue"), "train")
    path.parent.mkdir()
    path.write_bytes(content)
    try:
        examples = read_examples(TASKS["cola"], path.parent.parent, "train")
    except DataError:
        return
    assert len(examples) == len(examples.labels) > 0


def test_all_stands_for_every_scored_task():
    assert choose_tasks(["all"]) == SCORED_TASKS
    assert choose_tasks(["mrpc", " cola", "mrpc"]) == ("mrpc", "cola")
    assert choose_tasks(["rte", "all"]) == ("rte", *(n for n in SCORED_TASKS if n != "rte"))
    assert "ax" not in SCORED_TASKS


@pytest.mark.parametrize("text", ["", "mrcp", "cola,,mrpc", "ax", "CoLA"])
def test_a_wrong_task_name_lists_the_right_ones(text):
    with pytest.raises(ValueError, match="choose from all, cola, sst2"):
        choose_tasks(text.split(","))


def test_the_leaderboards_files_have_its_names():
    files = [file for task in TASKS.values() for file in task.submission.values()]
    assert files == [
        "CoLA.tsv",
        "SST-2.tsv",
        "MRPC.tsv",
        "STS-B.tsv",
        "QQP.tsv",
        "MNLI-m.tsv",
        "MNLI-mm.tsv",
        "QNLI.tsv",
        "RTE.tsv",
        "WNLI.tsv",
        "AX.tsv",
    ]


def test_what_is_told_of_each_task():
    assert {task.name: task.num_outputs for task in TASKS.values() if task.num_outputs != 2} == {
        "stsb": 1,
        "mnli": 3,
        "ax": 3,
    }
    assert [task.name for task in TASKS.values() if task.symmetric] == ["mrpc", "stsb"]
    assert [task.name for task in TASKS.values() if task.is_regression] == ["stsb"]
    assert TASKS["mnli"].test_splits == ("test_matched", "test_mismatched")


_MNLI = ["index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse"]
_MNLI += ["sentence1_parse", "sentence2_parse", "sentence1", "sentence2"]
_STSB = ["index", "genre", "filename", "year", "old_index", "source1", "source2"]
_STSB += ["sentence1", "sentence2"]
_MRPC = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
_INDEXED = ["index", "sentence1", "sentence2"]
_QQP = ["qid1", "qid2", "question1", "question2", "is_duplicate"]
# The columns of train, dev and test, as published; CoLA's train and dev files do not name theirs.
COLUMNS = {
    "cola": (["source", "label", "mark", "sentence"],) * 2 + (["index", "sentence"],),
    "sst2": (["sentence", "label"],) * 2 + (["index", "sentence"],),
    "mrpc": (_MRPC,) * 3,
    "stsb": ([*_STSB, "score"],) * 2 + (_STSB,),
    "qqp": (["id", *_QQP],) * 2 + (["id", "question1", "question2"],),
    "mnli": (
        [*_MNLI, "label1", "gold_label"],
        *([*_MNLI, *(f"label{number}" for number in range(1, 6)), "gold_label"],) * 2,
        *(_MNLI,) * 2,
    ),
    "qnli": (["index", "question", "sentence", "label"],) * 2
    + (["index", "question", "sentence"],),
    "rte": ([*_INDEXED, "label"],) * 2 + (_INDEXED,),
    "wnli": ([*_INDEXED, "label"],) * 2 + (_INDEXED,),
    "ax": (_INDEXED,),
}


@pytest.mark.parametrize(("name", "split"), [(n, split) for n in TASKS for split in TASKS[n].rows])
def test_a_file_with_the_columns_of_the_published_one_is_read(tmp_path, name, split):
    task = TASKS[name]
    columns = COLUMNS[name][list(task.rows).index(split)]
    label = "2.5" if task.is_regression else task.labels[-1]
    values = {task.first: 'He said "Yes', task.second: "", task.label: label}
    row = "\t".join(values.get(column, "x") for column in columns)
    is_headed = task.columns is None or split == "test"
    write_split(tmp_path, name, split, "\n".join(["\t".join(columns)] * is_headed + [row] * 3))
    examples = read_examples(task, tmp_path, split)
    assert examples.first == ['He said "Yes'] * 3
    assert examples.second == (None if task.second is None else [""] * 3)
    assert examples.skipped == 0
    assert examples.is_partial(task.rows[split])
    assert examples.is_labelled == (not split.startswith("test") or name == "mrpc")
    if examples.is_labelled:
        expected = 2.5 if task.is_regression else len(task.labels) - 1
        assert examples.labels.tolist() == [expected] * 3
