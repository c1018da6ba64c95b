"""A person's own task: learnt, scored, and left as a model that `transformers` loads."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shards.errors import DataError
from tests.train.glue.runs import CPU, SHORT
from tests.train.glue.toy import sentences
from train.glue.own import run_own

LEARN = replace(SHORT, epochs=15, batch_size=8, learning_rate=5e-3)
KINDS = {
    "classification": ("text\tlabel", lambda text, label: [text, "ab"[label]]),
    "pair classification": (
        "text1\ttext2\tlabel",
        lambda text, label: [text, "the film", "ab"[label]],
    ),
    "multi-label": ("text\tlabels", lambda text, label: [text, "a|b" if label else "c"]),
    "token tagging": (
        "words\ttags",
        lambda text, _: [
            text,
            " ".join("X" if w in ("good", "bad") else "O" for w in text.split()),
        ],
    ),
    "regression": ("text\tlabel", lambda text, label: [text, str(1 + 3 * label)]),
}
MODELS = dict.fromkeys(KINDS, "AlbertForSequenceClassification") | {
    "token tagging": "AlbertForTokenClassification"
}


def make_task(folder, kind, rows=48, splits=("train", "dev", "test")):
    folder.mkdir()
    (folder / "task.txt").write_text(kind + "\n")
    header, line = KINDS[kind]
    for seed, split in enumerate(splits):
        lines = ["\t".join(line(text, label)) for text, label in sentences(rows, seed)]
        if split == "test":  # without labels
            header, lines = header.rpartition("\t")[0], [one.rpartition("\t")[0] for one in lines]
        (folder / f"{split}.tsv").write_text("\n".join([header, *lines]) + "\n")
    return folder


def column(path, name):
    header, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [line[header.index(name)] for line in lines]


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_learnt_and_left_as_a_model_with_its_head(run, tmp_path, kind):
    folder, out = make_task(tmp_path / "mine", kind), tmp_path / "model"
    results = run_own(run, folder, out=out, config=LEARN, execution=CPU)
    metric = next(iter(results.scores["dev"]))
    assert results.scores["dev"][metric] > 0.9 > results.majority["dev"][metric]
    assert results.architecture == MODELS[kind]
    assert json.loads((out / "config.json").read_text())["architectures"] == [MODELS[kind]]
    assert (out / "tokenizer.json").is_file()
    assert json.loads((out / "scores.json").read_text())["scores"] == results.scores
    labels = column(out / "predictions" / "dev.tsv", "label")
    predictions = column(out / "predictions" / "dev.tsv", "prediction")
    assert labels == [
        row.split("\t")[-1] for row in (folder / "dev.tsv").read_text().splitlines()[1:]
    ]
    if kind != "regression":
        assert np.mean([a == b for a, b in zip(labels, predictions, strict=True)]) > 0.8
    assert len(column(out / "predictions" / "test.tsv", "prediction")) == 48
    assert f"| dev   | {metric}" in str(results)


@pytest.mark.parametrize("kind", ["classification", "token tagging", "regression"])
def test_transformers_predicts_what_was_written(run, tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    folder, out = make_task(tmp_path / "mine", kind), tmp_path / "model"
    config = replace(LEARN, epochs=2)
    run_own(run, folder, out=out, config=config, execution=CPU)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(out / "tokenizer.json"))
    is_tagging = kind == "token tagging"
    load = (
        transformers.AutoModelForTokenClassification
        if is_tagging
        else transformers.AutoModelForSequenceClassification
    )
    model = load.from_pretrained(out).eval()
    texts = column(folder / "dev.tsv", "words" if is_tagging else "text")
    for text, written in zip(texts, column(out / "predictions/dev.tsv", "prediction"), strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        if kind == "regression":
            assert float(written) == pytest.approx(logits.item(), abs=1e-4)
        else:
            rows = logits[1:-1] if is_tagging else logits[None]  # every word is one token
            names = [model.config.id2label[int(row.argmax())] for row in rows]
            assert written.split() == names


def test_a_test_split_with_labels_is_scored(run, tmp_path):
    folder = make_task(tmp_path / "mine", "classification", splits=("train", "dev"))
    (folder / "test.tsv").write_bytes((folder / "dev.tsv").read_bytes())
    results = run_own(run, folder, out=tmp_path / "model", config=SHORT, execution=CPU)
    assert results.scores["test"] == results.scores["dev"]
    assert column(tmp_path / "model/predictions/test.tsv", "label")[0] in "ab"


def test_words_that_were_cut_off_are_told(run, tmp_path):
    folder = make_task(tmp_path / "mine", "token tagging")
    config = replace(SHORT, max_length=8)
    results = run_own(run, folder, out=tmp_path / "model", config=config, execution=CPU)
    assert results.lost_words["dev"] > 0
    assert f"dev: {results.lost_words['dev']} words have no prediction" in str(results)


def test_the_model_of_the_best_epoch_lies_beside_that_of_the_last(run, tmp_path):
    folder, out = make_task(tmp_path / "mine", "classification"), tmp_path / "model"
    run_own(run, folder, out=out, config=replace(LEARN, keep="best"), execution=CPU)
    best = tmp_path / "model-best"
    chosen = json.loads((best / "chosen.json").read_text())
    assert chosen["metric"] == "accuracy"
    assert len(chosen["epochs"]) == 15
    assert (
        load_file(best / "model.safetensors").keys() == load_file(out / "model.safetensors").keys()
    )


def test_a_folder_that_is_there_is_not_written_over(run, tmp_path):
    folder = make_task(tmp_path / "mine", "classification")
    with pytest.raises(DataError, match=r"mine is there already: choose another --out, or delete"):
        run_own(run, folder, out=folder, config=SHORT, execution=CPU)
    assert (folder / "train.tsv").is_file()
