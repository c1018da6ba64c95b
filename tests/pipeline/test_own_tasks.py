"""A folder of one's own rows, in either form, read as it is or refused by its line."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.own_tasks import FORMS, own_path, read_own_examples, read_own_task
from shards.errors import DataError

NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="|"), min_size=1)


def write_tsv(path, header, rows):
    lines = ["\t".join(header), *("\t".join(row) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_jsonl(path, header, rows):
    lines = [json.dumps(dict(zip(header, row, strict=True))) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_task(folder, form, header, train, dev=None, write=write_tsv):
    ending = "tsv" if write is write_tsv else "jsonl"
    (folder / "task.txt").write_text(f"{form}\n")
    write(folder / f"train.{ending}", header, train)
    write(folder / f"dev.{ending}", header, train if dev is None else dev)
    return folder


def read_train(folder):
    return read_own_examples(read_own_task(folder), folder, "train")


TEXTS = [["good", "yes"], ["bad", "no"], ["fine", "yes"]]


def test_a_classification(tmp_path):
    write_task(tmp_path, "classification", ["text", "label"], TEXTS)
    task = read_own_task(tmp_path)
    assert (task.name, task.kind, task.labels) == (tmp_path.name, "classification", ("no", "yes"))
    assert (task.rows, task.num_outputs, task.second) == ({"train": None, "dev": None}, 2, None)
    assert task.metrics == ("accuracy", "f1", "matthews")
    examples = read_own_examples(task, tmp_path, "train")
    assert examples.first == ["good", "bad", "fine"]
    assert (examples.second, examples.words, examples.skipped) == (None, None, 0)
    assert examples.labels.tolist() == [1, 0, 1]
    assert examples.labels.dtype == np.int64


def test_pairs_with_columns_in_any_order_and_others_beside_them(tmp_path):
    header = ["id", "label", "text2", "text1"]
    rows = [["1", "10", "b", "a"], ["2", "9", "d", "c"], ["3", "-1.5", '"', ""]]
    write_task(tmp_path, "pair classification", header, rows)
    task = read_own_task(tmp_path)
    assert task.labels == ("-1.5", "9", "10")  # numbers by their value
    assert task.metrics == ("accuracy", "macro_f1")
    examples = read_own_examples(task, tmp_path, "dev")
    assert (examples.first, examples.second) == (["a", "c", ""], ["b", "d", '"'])
    assert examples.labels.tolist() == [2, 1, 0]


@pytest.mark.parametrize("write", [write_tsv, write_jsonl])
def test_a_multi_label_task(tmp_path, write):
    labels = [["b", "a"], [], ["c"]]
    values = ["|".join(one) for one in labels] if write is write_tsv else labels
    rows = list(zip("xyz", values, strict=True))
    write_task(tmp_path, "multi-label", ["text", "labels"], rows, write=write)
    task = read_own_task(tmp_path)
    assert (task.kind, task.labels, task.num_outputs) == ("multi-label", ("a", "b", "c"), 3)
    assert task.metrics == ("micro_f1", "macro_f1")
    labels = read_own_examples(task, tmp_path, "dev").labels
    assert labels.dtype == np.bool_
    assert labels.astype(int).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("write", [write_tsv, write_jsonl])
def test_a_tagging_task(tmp_path, write):
    rows = [(["Ann", "ran", "."], ["PER", "O", "O"]), (["Go"], ["O"])]
    if write is write_tsv:
        rows = [tuple(map(" ".join, row)) for row in rows]
    write_task(tmp_path, "token tagging", ["words", "tags"], rows, write=write)
    task = read_own_task(tmp_path)
    assert (task.kind, task.labels) == ("tagging", ("O", "PER"))
    examples = read_own_examples(task, tmp_path, "train")
    assert examples.first == ["Ann ran .", "Go"]
    assert examples.words == [["Ann", "ran", "."], ["Go"]]
    assert examples.labels.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("header", [["text", "label"], ["text1", "text2", "label"]])
def test_a_regression_of_texts_or_pairs(tmp_path, header):
    rows = [[*header[:-1], score] for score in (0.5, -2, "3e0")]
    write_task(tmp_path, "regression", header, rows, [[*header[:-1], 7]], write_jsonl)
    task = read_own_task(tmp_path)
    assert (task.is_regression, task.num_outputs, task.labels) == (True, 1, ())
    assert task.label_range == (-2.0, 3.0)
    assert (task.second is None) == (len(header) == 2)
    assert read_own_examples(task, tmp_path, "train").labels.tolist() == [0.5, -2.0, 3.0]
    assert read_own_examples(task, tmp_path, "dev").labels.dtype == np.float32


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n\n"])
@pytest.mark.parametrize("write", [write_tsv, write_jsonl])
def test_empty_lines_at_the_end_are_no_rows(tmp_path, write, end):
    write_task(tmp_path, "classification", ["text", "label"], TEXTS, write=write)
    for path in tmp_path.glob("train.*"):
        path.write_bytes(path.read_bytes().rstrip(b"\n") + end)
    assert read_train(tmp_path).first == ["good", "bad", "fine"]


def test_windows_line_ends_and_a_byte_order_mark_are_no_text(tmp_path):
    write_task(tmp_path, "classification", ["text", "label"], TEXTS)
    for name in ("task.txt", "train.tsv", "dev.tsv"):
        content = (tmp_path / name).read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n")
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content)
    task = read_own_task(tmp_path)
    assert task.labels == ("no", "yes")
    assert read_own_examples(task, tmp_path, "dev").first == ["good", "bad", "fine"]


@pytest.mark.parametrize(
    ("form", "header", "rows"),
    [
        ("classification", ["text"], [["a"], ["b"]]),
        ("multi-label", ["text"], [["a"], ["b"]]),
        ("regression", ["text"], [["a"], ["b"]]),
        ("token tagging", ["words"], [["a b"], ["c"]]),
    ],
)
def test_a_test_file_may_be_without_labels(tmp_path, form, header, rows):
    column = FORMS[form].label
    train = [[*rows[0], "1 2" if column == "tags" else "1"], [*rows[1], "2"]]
    write_task(tmp_path, form, [*header, column], train)
    write_tsv(tmp_path / "test.tsv", header, rows)
    task = read_own_task(tmp_path)
    assert list(task.rows) == ["train", "dev", "test"]
    examples = read_own_examples(task, tmp_path, "test")
    assert len(examples) == 2
    assert not examples.is_labelled
    assert read_own_examples(task, tmp_path, "dev").is_labelled


@given(rows=st.lists(st.tuples(st.text(st.characters(codec="utf-8")), NAMES), min_size=2))
def test_any_text_comes_back_as_it_was_written(tmp_path_factory, rows):
    rows = [*rows, ("one", "a"), ("other", "b")]
    folder = tmp_path_factory.mktemp("own")
    write_task(folder, "classification", ["text", "label"], rows, write=write_jsonl)
    task = read_own_task(folder)
    examples = read_own_examples(task, folder, "train")
    assert examples.first == [text for text, _ in rows]
    assert [task.labels[label] for label in examples.labels] == [label for _, label in rows]


@given(content=st.binary(max_size=100), form=st.sampled_from(list(FORMS)))
@pytest.mark.parametrize("ending", ["tsv", "jsonl"])
def test_any_bytes_are_read_or_refused(tmp_path_factory, ending, content, form):
    folder = tmp_path_factory.mktemp("own")
    (folder / "task.txt").write_text(form)
    for split in ("train", "dev"):
        (folder / f"{split}.{ending}").write_bytes(b"text\tlabel\n" * (ending == "tsv") + content)
    try:
        task = read_own_task(folder)
    except DataError:
        return
    assert len(read_own_examples(task, folder, "train")) > 1


@pytest.mark.parametrize(
    ("form", "line", "problem"),
    [
        ("classification", '{"text": "a"}', "line 4: it has no 'label', only text"),
        ("classification", '{"text": 1, "label": "x"}', "'text' has 1, which is no text"),
        ("classification", '{"text": "a", "label": 1.5}', "the label 1.5 is no name"),
        ("classification", '{"text": "a", "label": ""}', 'the label "" is no name'),
        ("classification", '{"text": "\\ud800", "label": "x"}', "is no Unicode text"),
        ("classification", '{"text": "a"', r"train\.jsonl, line 4: it is not JSON"),
        ("classification", "[" * 100_000, "line 4: it is not JSON"),
        ("classification", '["a", "x"]', "it is JSON, but no object"),
        ("classification", "\n{}", "line 4: it is not JSON"),
        ("classification", '{"text": "a", "label": "x", "text": "b"}', "line 4: .* stands twice"),
        ("multi-label", '{"text": "a", "labels": "x"}', "'labels' has \"x\", which is no list"),
        ("regression", '{"text": "a", "label": "x"}', 'the label "x" is not a number'),
        ("regression", '{"text": "a", "label": NaN}', "the label NaN is not a number"),
        ("regression", '{"text": "a", "label": true}', "the label true is not a number"),
        ("regression", '{"text": "a", "label": 1e39}', "is not a number"),
        ("token tagging", '{"words": ["a"], "tags": []}', "it has 1 words and 0 tags"),
        ("token tagging", '{"words": ["a "], "tags": ["O"]}', "the word 'a ' is empty, or"),
        ("token tagging", '{"words": [], "tags": []}', "it has no words"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, form, line, problem):
    good = {"text": "a", "label": 1, "labels": ["1"], "words": ["a"], "tags": ["O"]}
    rows = [list((good | {"label": number}).values()) for number in range(3)]
    write_task(tmp_path, form, list(good), rows, write=write_jsonl)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(DataError, match=problem):
        read_train(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text\tlabel\na\tx\tx\n", r"train\.tsv, line 2: it has 3 fields, the header 2"),
        ("text\tlabel\na\tx\n\nb\ty\n", "line 3: it has 1 fields, the header 2.*no line empty"),
        ("text\ttext\na\tx\n", "its header names a column twice"),
        ("text\tlabel\n", r"train\.tsv has no rows"),
        ("", r"train\.tsv has no rows"),
        ("texts\tlabel\na\tx\n", "has the columns texts, label, not text: name them so"),
        ("text\tlabel\na\tx\n", "has the same label in every row"),
        ("text\tlabel\na\t\n", 'line 2: the label "" is no name'),
    ],
)
def test_a_wrong_table_is_named(tmp_path, content, problem):
    write_task(tmp_path, "classification", ["text", "label"], TEXTS)
    (tmp_path / "train.tsv").write_text(content)
    with pytest.raises(DataError, match=problem):
        read_own_task(tmp_path)


def test_a_label_that_train_lacks_is_named_with_its_line(tmp_path):
    write_task(tmp_path, "classification", ["text", "label"], TEXTS, [["a", "no"], ["b", "maybe"]])
    task = read_own_task(tmp_path)
    problem = r"dev\.tsv, line 3: the label 'maybe' is none of train's: no, yes: correct it, or add"
    with pytest.raises(DataError, match=problem):
        read_own_examples(task, tmp_path, "dev")


def test_a_file_in_another_encoding_is_named(tmp_path):
    write_task(tmp_path, "classification", ["text", "label"], TEXTS)
    (tmp_path / "train.tsv").write_bytes("text\tlabel\né\tx\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"is not UTF-8 after row 0.*save it as UTF-8"):
        read_own_task(tmp_path)


def test_task_txt_says_one_of_five(tmp_path):
    with pytest.raises(DataError, match=r"no file .*task\.txt: write one line.*token tagging"):
        read_own_task(tmp_path)
    (tmp_path / "task.txt").write_text("classify\n")
    with pytest.raises(DataError, match="says 'classify', which is no kind of task"):
        read_own_task(tmp_path)
    (tmp_path / "task.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="is not UTF-8"):
        read_own_task(tmp_path)


def test_every_split_is_one_file(tmp_path):
    write_task(tmp_path, "classification", ["text", "label"], TEXTS)
    assert own_path(tmp_path, "dev") == tmp_path / "dev.tsv"
    (tmp_path / "train.jsonl").touch()
    with pytest.raises(DataError, match=r"has train\.tsv and train\.jsonl: take one of them away"):
        read_own_task(tmp_path)
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / "dev.tsv").unlink()
    with pytest.raises(DataError, match=r"has no dev\.tsv or dev\.jsonl"):
        read_own_task(tmp_path)
