"""The exported folder loads in transformers and gives the same numbers."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoTokenizer,
)

from model.electra import make_electra
from model.parts import discriminator_of, generator_of
from shards.errors import DataError
from shards.reader import ShardFolder
from train.batch import to_batch
from train.checkpoint import load_weights, newest_checkpoint
from train.export import export_model, export_run
from train.runs import load_run


@pytest.fixture
def trained(run_folder):
    """Return the run's model as its checkpoint has it, and a batch of its shards."""
    run = load_run(run_folder)
    model = make_electra(run.model)
    load_weights(newest_checkpoint(run.checkpoints), model)
    shards = ShardFolder(run_folder.parent / run.shards, "train")
    rows = shards.gather(np.arange(8))
    return model.eval(), to_batch(rows, np.zeros(8, int), shards.header, torch.device("cpu"))


def test_the_encoder_and_its_pooler_give_the_same_numbers_in_transformers(run_folder, trained):
    model, batch = trained
    theirs, info = AutoModel.from_pretrained(run_folder / "hf", output_loading_info=True)
    assert not any(info.values())
    inputs = (batch.input_ids, batch.attention_mask, batch.token_type_ids)
    with torch.inference_mode():
        ours = discriminator_of(model)
        states = ours.transformer(*inputs)
        output = theirs.eval()(*inputs)
        pooled = torch.tanh(ours.pooler(states[:, 0]))
    is_real = batch.attention_mask.bool()
    torch.testing.assert_close(output.last_hidden_state[is_real], states[is_real])
    torch.testing.assert_close(output.pooler_output, pooled)


def test_the_generator_gives_the_same_numbers_in_transformers(run_folder, trained):
    model, batch = trained
    theirs = AutoModelForMaskedLM.from_pretrained(run_folder / "hf" / "generator").eval()
    inputs = (batch.input_ids, batch.attention_mask, batch.token_type_ids)
    with torch.inference_mode():
        ours = generator_of(model).token_logits(*inputs)
        logits = theirs(*inputs).logits
    is_real = batch.attention_mask.bool()
    torch.testing.assert_close(logits[is_real], ours[is_real], rtol=1e-4, atol=1e-4)


def test_the_tokenizer_gives_the_same_ids_in_transformers(run_folder, shards_folder):
    ours = Tokenizer.from_file(str(shards_folder / "tokenizer" / "tokenizer.json"))
    theirs = AutoTokenizer.from_pretrained(run_folder / "hf")
    encoding, output = ours.encode("Conder, el fi?", "Grahu!"), theirs("Conder, el fi?", "Grahu!")
    assert output["input_ids"] == encoding.ids
    assert output["token_type_ids"] == encoding.type_ids
    assert theirs.model_max_length == 64


def test_an_export_can_be_written_again_and_repeats(run_folder, tmp_path):
    checkpoint = export_run(run_folder, tmp_path / "out")
    assert checkpoint.name == "step-0000006"
    first = (tmp_path / "out" / "model.safetensors").read_bytes()
    export_run(run_folder, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == first
    assert (run_folder / "hf" / "model.safetensors").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_export_does_not_replace_a_folder_of_another_kind(run_folder, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "mine.txt").write_text("")
    with pytest.raises(DataError, match=r"holds mine\.txt, no part of an export"):
        export_run(run_folder, tmp_path / "precious")


def test_a_run_without_a_checkpoint_cannot_be_exported(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(DataError, match="no whole checkpoint"):
        export_run(tmp_path / "run", tmp_path / "out")


PARTS = {
    "discriminator": {"config.json", "heads.safetensors", "model.safetensors"},
    "generator": {"config.json", "model.safetensors"},
}


@pytest.mark.parametrize("part", PARTS)
def test_one_network_can_be_exported_alone(run_folder, tmp_path, part):
    export_run(run_folder, tmp_path / "out", part)
    tokenizer = {"tokenizer.json", "tokenizer_config.json", "README.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == PARTS[part] | tokenizer
    whole = run_folder / "hf" / ("generator" if part == "generator" else "")
    for name in PARTS[part]:
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()
    card = (tmp_path / "out" / "README.md").read_text()
    other = "AlbertModel`" if part == "generator" else "ElectraForMaskedLM`"
    assert other not in card
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_pair_that_shares_no_layers_is_electra_s_own(run_folder, tmp_path):
    run = load_run(run_folder)
    shapes = {
        name: replace(getattr(run.model, name), num_hidden_groups=layers)
        for name, layers in (("generator", 1), ("discriminator", 4))
    }
    run = replace(run, model=replace(run.model, **shapes))
    export_model(run, make_electra(run.model), 3, tmp_path / "out")
    for auto, folder in ((AutoModelForPreTraining, ""), (AutoModelForMaskedLM, "generator")):
        theirs, info = auto.from_pretrained(tmp_path / "out" / folder, output_loading_info=True)
        assert not any(info.values())
        assert type(theirs).__name__.startswith("Electra")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "`AutoModelForPreTraining.from_pretrained` loads it" in card
    assert "The class has no place for sentence order" in card


def test_a_model_without_a_class_is_one_line(run_folder, tmp_path):
    run = load_run(run_folder)
    shape = replace(run.model.discriminator, attention="local")
    run = replace(run, model=replace(run.model, discriminator=shape))
    with pytest.raises(DataError, match=r"has no class in transformers \(attention is 'local'"):
        export_model(run, make_electra(run.model), 3, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_card_tells_data_steps_classes_and_what_is_to_be_filled_in(run_folder, tmp_path):
    card = (run_folder / "hf" / "README.md").read_text()
    assert "preset `tiny`" in card
    assert "This folder: the discriminator, `AlbertModel`; `AutoModel.from_pretrained`" in card
    assert "`generator/`: the generator, `ElectraForMaskedLM`; `AutoModelForMaskedLM." in card
    assert "`heads.safetensors`: the heads for replaced tokens (above 0 = replaced) and" in card
    assert "6 of 6 steps of 4 rows" in card
    assert "24 rows seen, about 1," in card
    assert "| books | 336 |" in card
    assert "Licence of this model: TO FILL IN" in card

    shutil.copytree(run_folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "shards")
    path = tmp_path / "run" / "run.json"
    path.write_text(path.read_text().replace('"shards": "', '"shards": "/gone'))
    export_run(tmp_path / "run", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "no longer there, so their sources are not known" in card
    assert "24 rows seen; rows of up to 64 tokens" in card
