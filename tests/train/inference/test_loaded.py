"""Folders that models come in."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf

from model import presets
from shards.errors import DataError
from tests.train.inference.conftest import GPT2, SIZES
from train.config import execution, pretrain_config
from train.imports import import_folder
from train.inference.detect import detect
from train.inference.embed import embed
from train.inference.fill import fill
from train.inference.generate import generate
from train.inference.loaded import Loaded
from train.inference.perplexity import measure_perplexity
from train.inference.settings import GenerateSettings
from train.initial import open_source
from train.pretrain import start_run

SMALL = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
SMALL |= {"intermediate_size": 48, "embedding_size": 16, "initializer_range": 0.3}


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory, stream_folder) -> Path:
    """A run of ALGPT2, shrunk: one shared layer, factorized embeddings."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    preset = presets.PRESETS["algpt2-small"]
    small = replace(preset, model=replace(preset.model, model=replace(preset.model.model, **SMALL)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "algpt2-small", small)
        config = pretrain_config("algpt2-small", steps=1, batch_size=2, precision="float32")
        how = execution("algpt2-small", device="cpu", quiet=True)
        start_run(stream_folder, folder, config, how, lambda line: None)
    return folder


def test_the_export_of_factorized_embeddings_generates_as_theirs(shared_run):
    loaded = Loaded(shared_run, "cpu")
    assert loaded.decoder.words is not None
    assert loaded.end_token_ids == {3}
    theirs = hf.GPT2LMHeadModel.from_pretrained(shared_run / "hf").eval()
    row = torch.tensor([loaded.tokenizer.encode("Conder el", add_special_tokens=False).ids])
    options = {"attention_mask": torch.ones_like(row), "max_new_tokens": 12, "eos_token_id": 3}
    for beams in (1, 3):
        made = generate(loaded, "Conder el", GenerateSettings(max_new_tokens=12, num_beams=beams))
        found = theirs.generate(row, **options, num_beams=beams, do_sample=False, pad_token_id=0)
        ids = found[0].tolist()
        assert made.text == loaded.tokenizer.decode(ids[:-1] if made.is_ended else ids)
    assert measure_perplexity(loaded, "Conder el fi in. " * 30).tokens > 64


def test_two_tables_outlive_an_import_and_begin_no_run(shared_run, tmp_path):
    import_folder(shared_run / "hf", tmp_path / "run")
    assert generate(Loaded(tmp_path / "run", "cpu"), "Conder el") == generate(
        Loaded(shared_run, "cpu"), "Conder el"
    )
    with pytest.raises(DataError, match="another table than that of its embeddings: give the run"):
        open_source(tmp_path / "run")


def test_a_run_that_has_not_ended_is_read_from_its_newest_checkpoint(
    run_folder, going_run, tmp_path
):
    ended, loaded = Loaded(run_folder, "cpu"), Loaded(going_run, "cpu")
    assert (ended.step, loaded.step) == (None, 6)
    text = "Conder el [MASK] in no."
    assert fill(loaded, text) == fill(ended, text)
    assert detect(loaded, text) == detect(ended, text)
    assert generate(loaded, text) == generate(ended, text)
    assert measure_perplexity(loaded, text) == measure_perplexity(ended, text)
    vectors = [embed(one, [text]).vectors for one in (loaded, ended)]
    assert np.array_equal(*vectors)
    shutil.copytree(going_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    remedy = f"wait for the first one .* `python cli.py pretrain --resume --out {tmp_path}/run`"
    with pytest.raises(DataError, match=f"no whole checkpoint at .*: {remedy}"):
        Loaded(tmp_path / "run", "cpu")


def test_a_causal_run_that_has_not_ended_is_read_too(shared_run, tmp_path):
    ended = Loaded(shared_run, "cpu")
    shutil.copytree(shared_run, tmp_path / "run", ignore=shutil.ignore_patterns("hf"))
    loaded = Loaded(tmp_path / "run", "cpu")
    assert loaded.decoder.transformer.config.num_hidden_groups == 1
    assert loaded.end_token_ids == ended.end_token_ids == {3}
    assert generate(loaded, "Conder el") == generate(ended, "Conder el")
    with pytest.raises(DataError, match="does not fill in masked tokens"):
        _ = loaded.filler


def test_a_published_folder_needs_no_settings_of_ours(save_model, masked, tmp_path):
    save_model(masked.theirs, tmp_path)
    for settings in ({}, {"mask_token": {"content": "[MASK]", "special": True}}):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
        assert fill(Loaded(tmp_path, "cpu"), "el [MASK].") == fill(masked.loaded, "el [MASK].")


def test_a_vocabulary_alone_is_a_tokenizer(save_model, masked, tmp_path):
    save_model(masked.theirs, tmp_path)
    entries = sorted(masked.loaded.tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in entries))
    (tmp_path / "tokenizer.json").unlink()
    assert fill(Loaded(tmp_path, "cpu"), "el [MASK].") == fill(masked.loaded, "el [MASK].")


def test_what_a_folder_lacks_is_named(save_model, masked, tmp_path):
    save_model(masked.theirs, tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"no tokenizer.json, vocab.json.*: export the run again"):
        _ = Loaded(tmp_path, "cpu").tokenizer
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be loaded"):
        _ = Loaded(tmp_path, "cpu").main
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        Loaded(tmp_path, "cpu")


def test_a_tokenizer_of_another_model_is_refused(save_model, tmp_path):
    save_model(hf.BertForMaskedLM(hf.BertConfig(**SIZES | {"vocab_size": 500})), tmp_path)
    with pytest.raises(DataError, match="tokenizer has 600 tokens, its model 500"):
        fill(Loaded(tmp_path, "cpu"), "el [MASK].")


def test_a_text_ends_where_the_configuration_says(save_model, tmp_path):
    save_model(hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2 | {"eos_token_id": 7})), tmp_path)
    for said, expected in ((9, {9}), ([9, 11], {9, 11}), (None, {7})):
        (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": said}))
        assert Loaded(tmp_path, "cpu").end_token_ids == expected
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": True}))
    with pytest.raises(DataError, match="eos_token_id True, which is no token's id: correct it"):
        _ = Loaded(tmp_path, "cpu").end_token_ids
    (tmp_path / "generation_config.json").unlink()
    assert Loaded(tmp_path, "cpu").end_token_ids == {7}
    content = json.loads((tmp_path / "config.json").read_text()) | {"eos_token_id": None}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert Loaded(tmp_path, "cpu").end_token_ids == {3}
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert Loaded(tmp_path, "cpu").end_token_ids == frozenset()


def test_a_token_beyond_the_table_is_refused_though_their_number_fits(save_model, masked, tmp_path):
    save_model(masked.theirs, tmp_path)
    parts = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = parts["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.get)
    vocabulary[last] = 605
    (tmp_path / "tokenizer.json").write_text(json.dumps(parts))
    with pytest.raises(DataError, match="tokenizer has 606 tokens, its model 600"):
        fill(Loaded(tmp_path, "cpu"), "el [MASK].")


def test_a_configuration_of_2019_tells_its_kind_by_its_class(save_model, causal, tmp_path):
    save_model(causal.theirs, tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    del content["model_type"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert generate(Loaded(tmp_path, "cpu"), "el") == generate(causal.loaded, "el")
    (tmp_path / "config.json").write_text(json.dumps(content | {"model_type": "roberta"}))
    with pytest.raises(DataError, match="it has model_type 'roberta'; known are"):
        _ = Loaded(tmp_path, "cpu").main
