"""Language models as folders of transformers, and back."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
)

from model.config import LanguageModelConfig, ModelConfig
from model.huggingface import save, write_parts
from model.huggingface_read import read_parts
from model.language_model import LanguageModel
from model.parts import Parts, language_model_parts
from tests.model.conftest import MASK
from tests.model.test_language_model import GPT2

MASKED = {"sentence_order_weight": 0.0}
NYSTROM = {
    "attention": "nystrom",
    "num_hidden_groups": 4,
    "embedding_size": 16,
    "num_landmarks": 12,
    "conv_kernel_size": 0,
}
UNSHARED = {"num_hidden_groups": 4}
SQUARE = {"num_hidden_groups": 4, "embedding_size": 16}
ALGPT2 = GPT2 | {"num_hidden_groups": 1, "embedding_size": 8}
MODELS = {
    "AlbertForPreTraining": ({"num_hidden_groups": 2, "hidden_act": "gelu_new"}, {}),
    "AlbertForPreTraining, not factorized": ({"embedding_size": 16}, {}),
    "AlbertForPreTraining, not shared": (UNSHARED, {}),
    "AlbertForPreTraining, padded": ({"pad_to_multiple_of": 16}, {}),
    "BertForPreTraining": (SQUARE, {}),
    "AlbertForMaskedLM": ({}, MASKED),
    "AlbertForMaskedLM, tanh": (UNSHARED | {"hidden_act": "gelu_new"}, MASKED),
    "BertForMaskedLM": (SQUARE, MASKED),
    "ElectraForMaskedLM": (UNSHARED, MASKED),
    "NystromformerForMaskedLM": (NYSTROM, MASKED),
    "GPT2LMHeadModel": (GPT2, {}),
    "GPT2LMHeadModel, padded": (GPT2 | {"pad_to_multiple_of": 16}, {}),
}


def make(micro: ModelConfig, changes, weights, scramble) -> LanguageModel:
    shape = replace(micro, **changes)
    mask = None if shape.is_decoder else MASK
    model = LanguageModel(LanguageModelConfig(model=shape, mask_token_id=mask, **weights)).eval()
    scramble(model)
    return model


def load(folder, architecture: str):
    """Load the class with nothing missing and nothing left over."""
    auto = AutoModelForPreTraining if "PreTraining" in architecture else AutoModelForMaskedLM
    auto = AutoModelForCausalLM if "LMHead" in architecture else auto
    theirs, info = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    assert type(theirs).__name__ == architecture
    return theirs.eval()


def inputs_of(parts: Parts, rows):
    return {key: rows[key] for key in list(rows)[: 2 if parts.transformer.config.is_decoder else 3]}


@pytest.mark.parametrize(("name", "options"), MODELS.items(), ids=MODELS)
def test_transformers_loads_the_same_model_and_gives_it_back(
    micro, rows, scramble, tmp_path, name, options
):
    parts = language_model_parts(make(micro, *options, scramble))
    architecture = name.partition(",")[0]
    assert write_parts(tmp_path / "ours", parts) == architecture
    theirs, inputs = load(tmp_path / "ours", architecture), inputs_of(parts, rows)
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        logits, output = parts.token_logits(**inputs), theirs(**inputs)
        expected = output.prediction_logits if "PreTraining" in name else output.logits
        close = {"rtol": 1e-5, "atol": 1e-5}
        torch.testing.assert_close(logits[real], expected[real], **close)
        if "PreTraining" in name:
            order = output.get("sop_logits", output.get("seq_relationship_logits"))
            torch.testing.assert_close(parts.order_logits(**inputs), order, **close)

    theirs.save_pretrained(tmp_path / "theirs")
    back = read_parts(tmp_path / "theirs")
    assert not back.remarks
    assert back.parts.transformer.config == replace(parts.transformer.config, pad_to_multiple_of=1)
    size = micro.vocab_size
    for key, tensor in parts.state_dict().items():
        mine = tensor[:size] if "word_embeddings" in key or key == "tokens.bias" else tensor
        assert torch.equal(back.parts.state_dict()[key], mine), key
    with torch.no_grad():
        assert torch.equal(back.parts.token_logits(**inputs), logits)


def test_a_shared_gpt2_is_written_as_copies(micro, rows, scramble, tmp_path):
    parts = language_model_parts(make(micro, GPT2 | {"num_hidden_groups": 2}, {}, scramble))
    assert write_parts(tmp_path, parts) == "GPT2LMHeadModel"
    inputs = inputs_of(parts, rows)
    with torch.no_grad():
        assert torch.equal(
            read_parts(tmp_path).parts.token_logits(**inputs), parts.token_logits(**inputs)
        )


def test_a_factorized_gpt2_is_multiplied_out_to_the_same_logits(micro, rows, scramble, tmp_path):
    parts = language_model_parts(make(micro, ALGPT2, {}, scramble))
    assert write_parts(tmp_path, parts) == "GPT2LMHeadModel"
    theirs, inputs = load(tmp_path, "GPT2LMHeadModel"), inputs_of(parts, rows)
    assert theirs.lm_head.weight.data_ptr() != theirs.transformer.wte.weight.data_ptr()
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        ours, logits = parts.token_logits(**inputs)[real], theirs(**inputs).logits[real]
    assert ours.std() > 0.4
    torch.testing.assert_close(ours, logits, rtol=1e-5, atol=1e-5)
    back = read_parts(tmp_path).parts
    with torch.no_grad():
        torch.testing.assert_close(back.token_logits(**inputs)[real], logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_gpt2_with_a_table_of_its_own_to_predict_with_is_read_and_given_back(
    rows, tmp_path, dtype
):
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 12}
    config = GPT2Config(**sizes, initializer_range=0.3, tie_word_embeddings=False)
    theirs = GPT2LMHeadModel(config).eval().to(dtype)
    theirs.save_pretrained(tmp_path / "theirs")
    found = read_parts(tmp_path / "theirs")
    inputs = inputs_of(found.parts, rows)
    with torch.no_grad():
        logits, expected = found.parts.token_logits(**inputs), theirs.float()(**inputs).logits
    real = rows["attention_mask"].bool()
    torch.testing.assert_close(logits[real], expected[real], rtol=1e-5, atol=1e-5)
    assert write_parts(tmp_path / "ours", found.parts) == "GPT2LMHeadModel"
    again = load(tmp_path / "ours", "GPT2LMHeadModel").state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in theirs.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "weights", "message"),
    [
        ({"attention": "local"}, {}, "attention is 'local': no class computes it faithfully"),
        ({"norm_first": True}, {}, "no class has is_decoder or norm_first without the other"),
        ({"type_vocab_size": 0}, {}, "type_vocab_size is 0: every class of encoders"),
        ({}, {"span_boundary_weight": 1.0}, "it learns span_boundary: no class has a head"),
        (NYSTROM | {"num_hidden_groups": 1}, MASKED, "neither shared layers nor a projection"),
        (NYSTROM | {"num_landmarks": 4}, MASKED, "num_landmarks is 4, less than the 12 positions"),
        (NYSTROM | {"conv_kernel_size": 3}, MASKED, "convolution takes in the padding after a row"),
    ],
)
def test_a_model_without_a_class_is_refused_with_the_reason(
    micro, tmp_path, changes, weights, message
):
    shape = replace(micro, **changes)
    config = LanguageModelConfig(model=shape, mask_token_id=MASK, **weights)
    with pytest.raises(ValueError, match=message):
        save(tmp_path / "out", LanguageModel(config))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, "it has model_type 'roberta'; known are albert"),
        ({"model_type": None, "architectures": None}, "it has model_type None"),
        ({"hidden_size": "wide"}, "cannot be used"),
        ({"num_attention_heads": 3}, "num_attention_heads is 3, which does not divide"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is True; our models have False"),
    ],
)
def test_a_broken_configuration_is_refused(micro, scramble, tmp_path, changes, message):
    save(tmp_path, make(micro, {}, {}, scramble))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=message):
        read_parts(tmp_path)
    path.write_text(json.dumps({"architectures": ["AlbertForPreTraining"]}))
    with pytest.raises(ValueError, match="it lacks vocab_size, hidden_size"):
        read_parts(tmp_path)
