import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AlbertForMaskedLM, AlbertModel, AutoModel, AutoModelForMaskedLM

from model.config import ElectraConfig
from model.electra import Electra, make_electra
from model.huggingface import save
from model.huggingface_families import ALBERT
from model.huggingface_read import load_transformer, read_parts
from model.parts import discriminator_of, generator_of

VARIANTS = {
    "shared": {},
    "two groups": {"num_hidden_groups": 2},
    "tanh gelu": {"hidden_act": "gelu_new"},
}


def close(ours, theirs) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.fixture
def model(pair: ElectraConfig, scramble) -> Electra:
    model = make_electra(pair).eval()
    scramble(model)
    return model


@pytest.fixture
def folder(model: Electra, tmp_path):
    save(tmp_path / "hf", model)
    return tmp_path / "hf"


def assert_nothing_was_left_random(info: dict) -> None:
    for name in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not info[name], name


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_transformers_loads_the_same_networks(
    pair: ElectraConfig, rows, scramble, tmp_path, changes
):
    config = replace(
        pair,
        generator=replace(pair.generator, **changes),
        discriminator=replace(pair.discriminator, **{"num_hidden_groups": 1} | changes),
    )
    model = make_electra(config).eval()
    scramble(model)
    save(tmp_path, model)
    albert, info = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert_nothing_was_left_random(info)
    filler, info = AutoModelForMaskedLM.from_pretrained(
        tmp_path / "generator", output_loading_info=True
    )
    assert_nothing_was_left_random(info)
    assert isinstance(albert, AlbertModel)
    assert isinstance(filler, AlbertForMaskedLM)

    real = rows["attention_mask"].bool()
    with torch.no_grad():
        ours = discriminator_of(model)
        theirs, states = albert(**rows), ours.transformer(**rows)
        pooled = ours.pooler(states[:, 0]).tanh()
        logits = generator_of(model).token_logits(**rows)
        close(states[real], theirs.last_hidden_state[real])
        close(pooled, theirs.pooler_output)
        close(logits[real], filler(**rows).logits[real])


def test_transformers_reads_back_every_size(folder, pair: ElectraConfig):
    for path, shape in ((folder, pair.discriminator), (folder / "generator", pair.generator)):
        theirs = AutoModel.from_pretrained(path, add_pooling_layer=False).config
        for name in ALBERT.fields:
            assert getattr(theirs, name) == getattr(shape, name), name
        for name in ("bos_token_id", "eos_token_id"):
            assert getattr(theirs, name) is None, name


def test_a_written_model_is_read_back_bit_for_bit(folder, model: Electra, rows):
    encoder = load_transformer(folder)
    discriminator = read_parts(folder).parts
    filler = read_parts(folder / "generator").parts
    judge = discriminator_of(model)
    pairs = [
        (encoder, judge.transformer),
        (discriminator, judge),
        (filler, generator_of(model)),
    ]
    for loaded, written in pairs:
        assert not loaded.training
        assert loaded.state_dict().keys() == written.state_dict().keys()
        for name, tensor in written.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name
    assert encoder.config == model.objective.discriminator

    with torch.no_grad():
        states = judge.transformer(**rows)
        assert torch.equal(encoder(**rows), states)
        assert torch.equal(discriminator.replaced_logits(**rows), judge.replaced_logits(**rows))
        assert torch.equal(discriminator.order_logits(**rows), judge.order_logits(**rows))
        ours = generator_of(model).token_logits(**rows)
        assert torch.equal(filler.token_logits(**rows), ours)


def test_the_same_weights_give_the_same_bytes(folder, model: Electra, tmp_path):
    save(tmp_path / "again", model)
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert sorted(map(str, files)) == [
        "config.json",
        "generator/config.json",
        "generator/model.safetensors",
        "heads.safetensors",
        "model.safetensors",
    ]
    for path in files:
        assert (tmp_path / "again" / path).read_bytes() == (folder / path).read_bytes(), path


def test_the_side_file_says_its_polarity(folder):
    with safe_open(folder / "heads.safetensors", "pt") as file:
        metadata = file.metadata()
    assert "replaced_token: above 0 = replaced" in metadata["polarity"]
    assert "sentence_order: 0 = original order, 1 = swapped" in metadata["polarity"]


def test_folders_of_transformers_are_read(pair: ElectraConfig, rows, albert_config, tmp_path):
    albert = AlbertModel(albert_config(pair.discriminator)).eval()
    albert.save_pretrained(tmp_path / "albert")
    filler = AlbertForMaskedLM(albert_config(pair.generator)).eval()
    filler.save_pretrained(tmp_path / "filler")
    body = read_parts(tmp_path / "albert").parts
    ours = read_parts(tmp_path / "filler").parts
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        theirs, states = albert(**rows), body.transformer(**rows)
        close(states[real], theirs.last_hidden_state[real])
        close(body.pooler(states[:, 0]).tanh(), theirs.pooler_output)
        close(ours.token_logits(**rows)[real], filler(**rows).logits[real])


def rewrite(path, change) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_a_missing_tensor_is_named(folder):
    rewrite(folder / "model.safetensors", lambda tensors: tensors.pop("pooler.bias"))
    with pytest.raises(ValueError, match=r"hf do not fit .*missing: albert\.pooler\.bias"):
        load_transformer(folder)


def test_an_unknown_tensor_is_named(folder):
    rewrite(folder / "heads.safetensors", lambda tensors: tensors.update(stray=torch.zeros(1)))
    with pytest.raises(ValueError, match="unknown: stray"):
        read_parts(folder)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(folder):
    rewrite(
        folder / "generator" / "model.safetensors",
        lambda tensors: tensors.update({"predictions.bias": torch.zeros(7)}),
    )
    message = r"of another shape: predictions\.bias \(7,\) instead of \(40,\)"
    with pytest.raises(ValueError, match=message):
        read_parts(folder / "generator")


def test_a_truncated_weights_file_is_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
        load_transformer(folder)


def test_an_absent_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_transformer(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, "model_type 'roberta'; known are albert, bert"),
        ({"inner_group_num": 2}, "inner_group_num is 2; our models have 1"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"hidden_size": "wide"}, "cannot be used"),
        ({"hidden_size": None}, "it lacks hidden_size"),
    ],
)
def test_a_configuration_that_is_not_ours_is_refused(folder, changes, message):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=message):
        load_transformer(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model_type": "albert"}'])
def test_a_broken_configuration_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json"):
        load_transformer(folder)
