"""Folders as others have published them: classes of transformers, old names, odd files."""

import json

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from model.huggingface import write_parts
from model.huggingface_read import read_parts

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "pad_token_id": 0,
}
NARROW = SIZES | {"embedding_size": 8}
GPT2_SIZES = {"vocab_size": 40, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 12}
NYSTROM = SIZES | {"conv_kernel_size": 3, "segment_means_seq_len": 64, "num_landmarks": 64}
CLASSES = {
    "AlbertModel": (hf.AlbertConfig, NARROW, {"pooler"}),
    "AlbertForMaskedLM": (hf.AlbertConfig, NARROW | {"num_hidden_groups": 3}, {"tokens"}),
    "AlbertForPreTraining": (hf.AlbertConfig, NARROW, {"tokens", "pooler", "order"}),
    "BertModel": (hf.BertConfig, SIZES, {"pooler"}),
    "BertForMaskedLM": (hf.BertConfig, SIZES, {"tokens"}),
    "BertForPreTraining": (hf.BertConfig, SIZES, {"tokens", "pooler", "order"}),
    "BertForNextSentencePrediction": (hf.BertConfig, SIZES, {"pooler", "order"}),
    "ElectraModel": (hf.ElectraConfig, NARROW, set()),
    "ElectraForMaskedLM": (hf.ElectraConfig, NARROW, {"tokens"}),
    "ElectraForPreTraining": (hf.ElectraConfig, NARROW, {"replaced"}),
    "GPT2LMHeadModel": (hf.GPT2Config, GPT2_SIZES, {"tokens"}),
    "GPT2Model": (hf.GPT2Config, GPT2_SIZES, {"tokens"}),
    "NystromformerForMaskedLM": (hf.NystromformerConfig, NYSTROM, {"tokens"}),
}


def publish(name, folder, scramble, **changes):
    make, sizes, heads = CLASSES[name]
    theirs = getattr(hf, name)(make(**sizes | changes)).eval()
    scramble(theirs)
    theirs.save_pretrained(folder)
    return theirs, heads


def change_weights(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(change(tensors) or tensors, path)


def change_config(folder, change):
    path = folder / "config.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def compare(theirs, parts, rows):
    """Compare all that both compute; without padding, that Nystromformer lets in."""
    unpadded = {name: rows[name][:1] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        output = theirs(**unpadded)
        ours = {
            "last_hidden_state": lambda: parts.transformer(**unpadded),
            "pooler_output": lambda: parts.pooler(parts.transformer(**unpadded)[:, 0]).tanh(),
            "prediction_logits": lambda: parts.token_logits(**unpadded),
            "sop_logits": lambda: parts.order_logits(**unpadded, token_type_ids=None),
            "seq_relationship_logits": lambda: parts.order_logits(**unpadded, token_type_ids=None),
            "logits": lambda: (
                parts.token_logits(**unpadded)
                if parts.tokens
                else parts.order_logits(**unpadded, token_type_ids=None)
                if parts.order
                else parts.replaced_logits(**unpadded, token_type_ids=None)
            ),
        }
        compared = [name for name in ours if output.get(name) is not None]
        for name in compared:
            torch.testing.assert_close(ours[name](), output[name], rtol=1e-5, atol=1e-5)
    assert compared


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_read_and_written_again(name, rows, scramble, tmp_path):
    theirs, heads = publish(name, tmp_path / "published", scramble)
    found = read_parts(tmp_path / "published")
    assert found.parts.heads == heads
    assert len(found.remarks) == (name == "NystromformerForMaskedLM")
    compare(theirs, found.parts, rows)
    write_parts(tmp_path / "again", found.parts, found.family, found.special)
    again = read_parts(tmp_path / "again")
    assert again.parts.heads == heads
    assert again.special == found.special
    for key, tensor in found.parts.state_dict().items():
        assert torch.equal(again.parts.state_dict()[key], tensor), key


def test_the_convolution_of_a_published_nystromformer_comes_back(rows, scramble, tmp_path):
    theirs, _ = publish("NystromformerForMaskedLM", tmp_path / "published", scramble)
    found = read_parts(tmp_path / "published")
    assert found.remarks == [
        "equal to its class without padding, which its convolution takes in there"
    ]
    with pytest.raises(ValueError, match="convolution takes in the padding after a row"):
        write_parts(tmp_path / "again", found.parts)
    write_parts(tmp_path / "again", found.parts, found.family)
    again = hf.AutoModelForMaskedLM.from_pretrained(tmp_path / "again").eval()
    with torch.no_grad():
        assert torch.equal(again(**rows).logits, theirs(**rows).logits)


def test_names_of_berts_first_checkpoints_are_read(rows, scramble, tmp_path):
    """As google-bert/bert-base-uncased: gamma and beta, a decoder written down, no bias of it."""
    theirs, _ = publish("BertForPreTraining", tmp_path, scramble)

    def age(tensors):
        old = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): tensor
            for name, tensor in tensors.items()
        }
        table = tensors["bert.embeddings.word_embeddings.weight"]
        old["cls.predictions.decoder.weight"] = table.clone()
        old["bert.embeddings.position_ids"] = torch.arange(12)[None]
        return old

    change_weights(tmp_path, age)
    change_config(tmp_path, lambda content: content | {"architectures": ["BertForMaskedLM"]})
    found = read_parts(tmp_path)
    assert not found.remarks
    compare(theirs, found.parts, rows)


def test_names_of_gpt2s_first_checkpoint_are_read(rows, scramble, tmp_path):
    """As openai-community/gpt2: no prefix, causal masks written down, few fields."""
    theirs, _ = publish("GPT2LMHeadModel", tmp_path, scramble, bos_token_id=7, eos_token_id=7)

    def age(tensors):
        old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
        old["h.0.attn.bias"] = torch.ones(1, 1, 12, 12)
        old["h.0.attn.masked_bias"] = torch.tensor(-1e4)
        return old

    change_weights(tmp_path, age)
    kept = ("architectures", "model_type", "bos_token_id", "eos_token_id", *GPT2_SIZES)
    change_config(tmp_path, lambda content: {name: content[name] for name in kept})
    found = read_parts(tmp_path)
    assert found.special == {"bos_token_id": 7, "eos_token_id": 7}
    compare(theirs, found.parts, rows)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_left_out(prefix, rows, scramble, tmp_path):
    theirs, _ = publish("ElectraForPreTraining", tmp_path, scramble)
    change_weights(tmp_path, lambda tensors: {prefix + k: one for k, one in tensors.items()})
    compare(theirs, read_parts(tmp_path).parts, rows)


def test_a_configuration_without_a_type_is_told_by_its_class(rows, scramble, tmp_path):
    theirs, _ = publish("AlbertForMaskedLM", tmp_path, scramble)
    change_config(tmp_path, lambda content: content | {"model_type": None})
    compare(theirs, read_parts(tmp_path).parts, rows)


def test_pickled_weights_are_read_and_code_in_them_is_not_run(rows, scramble, tmp_path):
    theirs, _ = publish("BertForMaskedLM", tmp_path, scramble)
    (tmp_path / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    compare(theirs, read_parts(tmp_path).parts, rows)
    torch.save({"call": Caller()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is no whole file of tensors alone"):
        read_parts(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is no whole file of tensors alone"):
        read_parts(tmp_path)


class Caller:
    """Something that unpickling would call."""

    def __reduce__(self):
        return (print, ("ran",))


def test_weights_in_several_files_are_read_and_a_missing_one_is_named(rows, scramble, tmp_path):
    theirs, _ = publish("AlbertForPreTraining", tmp_path / "whole", scramble)
    theirs.save_pretrained(tmp_path / "cut", max_shard_size="3KB")
    parts = sorted((tmp_path / "cut").glob("model-*.safetensors"))
    assert len(parts) > 1
    compare(theirs, read_parts(tmp_path / "cut").parts, rows)
    parts[0].unlink()
    with pytest.raises(ValueError, match=f"has no {parts[0].name}, which model.safetensors.index"):
        read_parts(tmp_path / "cut")
    index = tmp_path / "cut" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "../whole/model.safetensors"}}))
    with pytest.raises(ValueError, match=r"has no \.\./whole/model\.safetensors"):
        read_parts(tmp_path / "cut")


def test_a_pooler_without_sentence_order_is_kept_beside(rows, scramble, tmp_path):
    """As albert/albert-base-v2: a masked language model whose file has a pooler."""
    publish("AlbertForPreTraining", tmp_path / "published", scramble)
    change_weights(
        tmp_path / "published",
        lambda tensors: {k: one for k, one in tensors.items() if "sop_classifier" not in k},
    )
    found = read_parts(tmp_path / "published")
    assert found.parts.heads == {"tokens", "pooler"}
    assert write_parts(tmp_path / "again", found.parts, found.family) == "AlbertForMaskedLM"
    again = read_parts(tmp_path / "again").parts
    assert again.heads == {"tokens", "pooler"}
    for key, tensor in found.parts.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    compare(hf.AutoModelForMaskedLM.from_pretrained(tmp_path / "again").eval(), again, rows)


def test_half_precision_and_foreign_heads_are_told(rows, scramble, tmp_path):
    publish("BertForMaskedLM", tmp_path, scramble)

    def change(tensors):
        half = {name: tensor.half() for name, tensor in tensors.items()}
        return half | {"qa_outputs.weight": torch.zeros(2, 16)}

    change_weights(tmp_path, change)
    assert read_parts(tmp_path).remarks == [
        "left out, as our models have no such head: qa_outputs.weight (1)",
        "stored as float16, kept as float32",
    ]
