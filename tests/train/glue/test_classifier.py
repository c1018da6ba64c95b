"""A classifier of a model folder: found, made, saved, and the same in `transformers`."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    ElectraConfig,
    ElectraModel,
    GPT2Config,
    GPT2LMHeadModel,
)

from model.huggingface_read import load_transformer, read_parts
from pipeline.tasks import TASKS
from shards.errors import DataError
from tests.train.glue.toy import LONGEST, SPECIAL, WORDS, make_tokenizer, sentence_examples
from train.glue.classifier import find_model, make_classifier, row_length, save_classifier
from train.glue.config import GlueConfig
from train.glue.finetune import predict
from train.glue.recipes import settings_of
from train.glue.row_tokenizer import load_row_tokenizer

SIZES = {
    "vocab_size": len(SPECIAL + WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": LONGEST,
}
MODELS = {
    "electra": lambda: ElectraModel(ElectraConfig(**SIZES, embedding_size=8)),
    "albert": lambda: AlbertModel(AlbertConfig(**SIZES, embedding_size=8)),
    "bert": lambda: BertModel(BertConfig(**SIZES)),
}
COLA, STSB = TASKS["cola"], TASKS["stsb"]
SETTINGS = settings_of(GlueConfig(), COLA)


@pytest.fixture(params=MODELS)
def folder(request, tmp_path):
    """Return a folder as `transformers` writes it, with a tokenizer."""
    torch.manual_seed(0)
    path = tmp_path / request.param
    MODELS[request.param]().save_pretrained(path)
    make_tokenizer().save(str(path / "tokenizer.json"))
    return path


def test_a_folder_of_transformers_is_found(folder):
    found = find_model(folder)
    assert (found.folder, found.family) == (folder, folder.name)
    assert found.parameters == sum(one.numel() for one in load_transformer(folder).parameters())


def test_another_weight_or_another_shape_is_another_digest(folder):
    first = find_model(folder).digest
    assert find_model(folder).digest == first
    weights = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    weights[name][0, 0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert find_model(folder).digest != first


def test_a_folder_that_lacks_a_weight_is_refused(folder):
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if "query" in name)]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"missing: .*query"):
        find_model(folder)


def test_a_decoder_is_refused(tmp_path):
    GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2)).save_pretrained(
        tmp_path
    )
    with pytest.raises(DataError, match="holds a decoder"):
        find_model(tmp_path)


def test_a_run_is_found_by_its_export(run):
    assert find_model(run).folder == run / "hf"


def test_no_model_is_said(tmp_path):
    with pytest.raises(DataError, match="no exported model"):
        find_model(tmp_path)


def test_rows_are_as_long_as_the_model_takes_at_most(folder):
    pretrained = find_model(folder)
    assert row_length(GlueConfig(), pretrained) == LONGEST
    assert row_length(GlueConfig(max_length=9), pretrained) == 9
    with pytest.raises(DataError, match=f"--max-length 21 is more than the {LONGEST} positions"):
        row_length(GlueConfig(max_length=21), pretrained)


def test_the_pretrained_weights_are_the_ones_trained_on(folder):
    pretrained = find_model(folder)
    learnt = make_classifier(pretrained, COLA, 3, True, SETTINGS)
    twin = make_classifier(pretrained, COLA, 3, False, SETTINGS)
    parts = read_parts(folder).parts
    words = "embeddings.word_embeddings.weight"
    for name, weight in parts.transformer.state_dict().items():
        assert torch.equal(weight, learnt.encoder.state_dict()[name])
    assert not torch.equal(learnt.encoder.state_dict()[words], twin.encoder.state_dict()[words])
    if pretrained.family == "electra":
        assert torch.equal(learnt.head.dense.weight, twin.head.dense.weight)
    else:
        assert torch.equal(learnt.head.pooler.weight, parts.pooler.weight)
        assert not torch.equal(twin.head.pooler.weight, parts.pooler.weight)
        assert torch.equal(learnt.head.classifier.weight, twin.head.classifier.weight)


def test_dropout_is_the_recipes_whatever_pretraining_had(folder):
    for share in (0.0, 0.25):
        settings = replace(SETTINGS, dropout=share)
        classifier = make_classifier(find_model(folder), COLA, 0, True, settings)
        dropouts = [one.p for one in classifier.modules() if isinstance(one, torch.nn.Dropout)]
        assert set(dropouts) == {share}
        assert classifier.encoder.layers[0].attention.mechanism.dropout == share


@pytest.mark.parametrize("task", [COLA, STSB], ids=["classes", "scores"])
def test_transformers_predicts_as_the_classifier_does(folder, task, tmp_path):
    pretrained = find_model(folder)
    classifier = make_classifier(pretrained, task, 1, True, SETTINGS)
    with torch.no_grad():
        for one in classifier.head.parameters():
            one.normal_(std=0.5)
    out = tmp_path / "out"
    name = save_classifier(out, classifier, pretrained, task)
    assert json.loads((out / "config.json").read_text())["architectures"] == [name]
    assert (out / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()

    examples = sentence_examples(20)
    examples = replace(examples, labels=examples.labels.astype(np.float32))
    rows = load_row_tokenizer(folder, LONGEST, SIZES["vocab_size"]).encode(examples)
    inputs = vars(rows.gather(np.arange(20), classifier.encoder.config.pad_token_id))
    with torch.no_grad():
        logits = AutoModelForSequenceClassification.from_pretrained(out).eval()(**inputs).logits
    found = torch.from_numpy(predict(classifier, task, rows, 7))
    expected = logits[:, 0] if task.is_regression else logits.argmax(1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_what_was_trained_on_one_task_can_begin_another(folder, tmp_path):
    pretrained = find_model(folder)
    first = make_classifier(pretrained, TASKS["mnli"], 0, False, SETTINGS)
    save_classifier(tmp_path / "mnli", first, pretrained, TASKS["mnli"])
    second = make_classifier(find_model(tmp_path / "mnli"), TASKS["rte"], 0, True, SETTINGS)
    for name, weight in first.encoder.state_dict().items():
        assert torch.equal(second.encoder.state_dict()[name], weight)
    if pretrained.family != "electra":
        assert torch.equal(second.head.pooler.weight, first.head.pooler.weight)


def test_an_earlier_model_is_replaced_as_a_whole(folder, tmp_path):
    pretrained = find_model(folder)
    classifier = make_classifier(pretrained, COLA, 0, True, SETTINGS)
    out = tmp_path / "out"
    save_classifier(out, classifier, pretrained, COLA)
    (out / "stray").touch()
    shutil.copytree(out, tmp_path / "out.tmp")  # as an interrupted run leaves it
    save_classifier(out, classifier, pretrained, COLA)
    assert not (out / "stray").exists()
    assert not (tmp_path / "out.tmp").exists()
