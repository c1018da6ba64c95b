"""A pair without shared layers as transformers' ELECTRA, and back."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForPreTraining

from model.config import ElectraConfig
from model.electra import make_electra
from model.huggingface import save, write_parts
from model.huggingface_families import ELECTRA
from model.huggingface_read import read_parts
from model.parts import discriminator_of, generator_of

ORDERS = ["neither", "both"]


def unshared(pair: ElectraConfig, order: str, **changes) -> ElectraConfig:
    shapes = {
        name: replace(getattr(pair, name), num_hidden_groups=4, **changes)
        for name in ("generator", "discriminator")
    }
    return replace(pair, sentence_order=order, **shapes)


def load(auto, folder):
    """Load a class with nothing missing and nothing left over."""
    theirs, info = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    return theirs.eval()


@pytest.mark.parametrize("order", ORDERS)
def test_transformers_loads_both_networks_and_gives_them_back(
    pair, rows, scramble, tmp_path, order
):
    config = unshared(pair, order)
    model = make_electra(config).eval()
    scramble(model)
    classes = save(tmp_path, model)
    assert classes == {"discriminator": "ElectraForPreTraining", "generator": "ElectraForMaskedLM"}
    judge = load(AutoModelForPreTraining, tmp_path)
    filler = load(AutoModelForMaskedLM, tmp_path / "generator")
    assert (type(judge).__name__, type(filler).__name__) == tuple(classes.values())
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        verdict = discriminator_of(model).replaced_logits(**rows)
        close = {"rtol": 1e-5, "atol": 1e-5}
        torch.testing.assert_close(verdict[real], judge(**rows).logits[real], **close)
        logits = generator_of(model).token_logits(**rows)
        torch.testing.assert_close(logits[real], filler(**rows).logits[real], **close)

    judge.save_pretrained(tmp_path)
    filler.save_pretrained(tmp_path / "generator")
    for folder, ours in (
        (tmp_path, discriminator_of(model)),
        (tmp_path / "generator", generator_of(model)),
    ):
        back = read_parts(folder)
        assert not back.remarks
        assert back.parts.transformer.config == ours.transformer.config
        assert back.parts.state_dict().keys() == ours.state_dict().keys()
        for name, tensor in ours.state_dict().items():
            assert torch.equal(back.parts.state_dict()[name], tensor), name
        again = folder / "again"
        write_parts(again, back.parts, back.family)
        both = [(one / "model.safetensors").read_bytes() for one in (folder, again)]
        assert both[0] == both[1]


def test_shared_layers_can_be_written_as_copies_and_give_the_same_verdicts(
    pair, rows, scramble, tmp_path
):
    model = make_electra(replace(pair, sentence_order="neither")).eval()
    scramble(model)
    ours = discriminator_of(model)
    assert write_parts(tmp_path, ours, ELECTRA) == "ElectraForPreTraining"
    back = read_parts(tmp_path).parts
    assert back.transformer.config.num_hidden_groups == 4
    with torch.no_grad():
        assert torch.equal(back.replaced_logits(**rows), ours.replaced_logits(**rows))


def test_a_generator_with_the_other_gelu_is_an_albert(pair, scramble, tmp_path):
    model = make_electra(unshared(pair, "neither", hidden_act="gelu_new"))
    scramble(model)
    assert save(tmp_path, model)["generator"] == "AlbertForMaskedLM"
    path = tmp_path / "generator" / "config.json"
    write_parts(tmp_path / "wrong", generator_of(model), ELECTRA)
    assert json.loads(path.read_text())["hidden_act"] == "gelu_new"
    with pytest.raises(ValueError, match="hidden_act is 'gelu_new', but the class's head has"):
        read_parts(tmp_path / "wrong")


def test_a_generator_as_wide_as_its_embeddings_bears_electra_s_name(pair, tmp_path):
    wide = {"hidden_size": 12, "embedding_size": 12, "num_attention_heads": 3}
    model = make_electra(unshared(pair, "neither", **wide))
    assert save(tmp_path, model)["generator"] == "ElectraForMaskedLM"


def test_a_network_with_windows_is_refused(pair, tmp_path):
    config = replace(pair, discriminator=replace(pair.discriminator, attention="local"))
    with pytest.raises(ValueError, match="attention is 'local': no class computes it"):
        save(tmp_path / "out", make_electra(config))
    assert not (tmp_path / "out").exists()
