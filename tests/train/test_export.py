"""The exported folder loads in transformers and gives the same numbers."""

import shutil

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from model.electra import Electra
from shards.errors import DataError
from shards.reader import ShardFolder
from train.batch import to_batch
from train.checkpoint import load_weights, newest_checkpoint
from train.export import export_run
from train.runs import load_run


@pytest.fixture
def trained(run_folder):
    """Return the run's model as its checkpoint has it, and a batch of its shards."""
    run = load_run(run_folder)
    model = Electra(run.model)
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
        states = model.discriminator(*inputs)
        output = theirs.eval()(*inputs)
        pooled = torch.tanh(model.sentence_order_head.pooler(states[:, 0]))
    is_real = batch.attention_mask.bool()
    torch.testing.assert_close(output.last_hidden_state[is_real], states[is_real])
    torch.testing.assert_close(output.pooler_output, pooled)


def test_the_generator_gives_the_same_numbers_in_transformers(run_folder, trained):
    model, batch = trained
    theirs = AutoModelForMaskedLM.from_pretrained(run_folder / "hf" / "generator").eval()
    inputs = (batch.input_ids, batch.attention_mask, batch.token_type_ids)
    with torch.inference_mode():
        ours = model.masked_language_model_head(
            model.generator(*inputs), model.generator.embeddings.word_embeddings.weight
        )
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
