"""Hidden states and gradients beside those of transformers' models, weights copied."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    ElectraConfig,
    ElectraModel,
    GPT2Config,
    GPT2Model,
    MegatronBertConfig,
    MegatronBertModel,
)

from model.attention import LocalAttention
from model.config import ModelConfig
from model.embeddings import Embeddings
from model.huggingface_tensors import (
    BERT_LAYER,
    albert_tensors,
    bert_tensors,
    gpt2_tensors,
)
from model.padding import find_tokens
from model.transformer import Transformer

PRECISIONS = {torch.float32: 1e-5, torch.float64: 1e-10}
SHAPES = {
    "ALBERT": ("albert", {}),
    "ALBERT, two groups": ("albert", {"num_hidden_groups": 2}),
    "ALBERT, tanh gelu": ("albert", {"hidden_act": "gelu_new"}),
    "ALBERT, four groups": ("albert", {"num_hidden_groups": 4, "num_attention_heads": 1}),
    "BERT": ("bert", {"num_hidden_groups": 4, "embedding_size": 16}),
    "ELECTRA": ("electra", {"num_hidden_groups": 4}),
    "ELECTRA, not factorized": ("electra", {"num_hidden_groups": 4, "embedding_size": 16}),
    "GPT-2": (
        "gpt2",
        {
            "num_hidden_groups": 4,
            "embedding_size": 16,
            "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-5,
            "type_vocab_size": 0,
            "norm_first": True,
            "is_decoder": True,
        },
    ),
}
TENSORS = {
    "albert": albert_tensors,
    "bert": bert_tensors,
    "electra": bert_tensors,
    "gpt2": gpt2_tensors,
}


def build(family: str, config: ModelConfig, shape: dict) -> nn.Module:
    if family == "albert":
        return AlbertModel(AlbertConfig(**shape, num_hidden_groups=config.num_hidden_groups))
    if family == "bert":
        return BertModel(BertConfig(**shape), add_pooling_layer=False)
    if family == "electra":
        return ElectraModel(ElectraConfig(**shape))
    return GPT2Model(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.max_position_embeddings,
            n_embd=config.hidden_size,
            n_layer=config.num_hidden_layers,
            n_head=config.num_attention_heads,
            n_inner=config.intermediate_size,
            embd_pdrop=0.0,
            resid_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(("family", "changes"), SHAPES.values(), ids=SHAPES)
def test_states_and_gradients_equal_those_of_transformers(
    micro, rows, shape_of, scramble, copy_weights, gradients, family, changes, precision
):
    config = replace(micro, **changes)
    theirs = build(family, config, shape_of(config))
    scramble(theirs)
    theirs, ours = theirs.to(precision), Transformer(config).to(precision)
    copy_weights(theirs, TENSORS[family](ours, ""))
    real = rows["attention_mask"].bool()
    inputs = rows if config.type_vocab_size else dict(list(rows.items())[:2])

    mine, other = ours(**inputs)[real], theirs(**inputs).last_hidden_state[real]
    assert other.std() > 0.1
    close = {"rtol": PRECISIONS[precision], "atol": PRECISIONS[precision]}
    torch.testing.assert_close(mine, other, **close)

    weights = torch.randn(other.shape, generator=torch.Generator().manual_seed(1)).to(precision)
    (mine * weights).sum().backward()
    (other * weights).sum().backward()
    mine, other = gradients(ours), gradients(theirs).state_dict()
    for name, gradient in TENSORS[family](mine, "").items():
        scale = other[name].abs().max().clamp(min=1)
        torch.testing.assert_close(
            gradient / scale,
            other[name] / scale,
            **close,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_a_pre_norm_encoder_equals_megatron_bert(
    micro, rows, shape_of, scramble, copy_weights, precision
):
    config = replace(micro, embedding_size=16, num_hidden_groups=4, norm_first=True)
    shape = {name: value for name, value in shape_of(config).items() if name != "embedding_size"}
    theirs = MegatronBertModel(MegatronBertConfig(**shape), add_pooling_layer=False).eval()
    scramble(theirs)
    theirs, ours = theirs.to(precision), Transformer(config).to(precision)
    names = {
        BERT_LAYER["attention_norm"]: "attention.ln",
        BERT_LAYER["feed_forward_norm"]: "ln",
    }
    tensors = {}
    for name, tensor in bert_tensors(ours, "").items():
        for bert, megatron in names.items():
            name = name.replace(f".{bert}.", f".{megatron}.")
        tensors[name] = tensor
    tensors["encoder.ln.weight"] = ours.final_norm.weight.detach()
    tensors["encoder.ln.bias"] = ours.final_norm.bias.detach()
    copy_weights(theirs, tensors)
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        mine, other = ours(**rows)[real], theirs(**rows).last_hidden_state[real]
    close = {"rtol": PRECISIONS[precision], "atol": PRECISIONS[precision]}
    torch.testing.assert_close(mine, other, **close)


VARIANTS = {
    "post-norm": {},
    "pre-norm": {"norm_first": True},
    "decoder": {"norm_first": True, "is_decoder": True},
    "local": {"attention": "local", "local_attention": 4, "global_attn_every_n_layers": 2},
    "nystrom": {"attention": "nystrom", "num_landmarks": 3, "conv_kernel_size": 3},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def any_config(micro: ModelConfig, request) -> ModelConfig:
    return replace(micro, **request.param)


def close(ours, theirs) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_padding_does_not_change_a_row(any_config, rows):
    model = Transformer(any_config).eval()
    with torch.no_grad():
        padded = model(**rows)
        for row, length in enumerate(rows["attention_mask"].sum(1).tolist()):
            alone = model(**{name: ids[row : row + 1, :length] for name, ids in rows.items()})
            close(padded[row, :length], alone[0])
            assert not padded[row, length:].any()


def test_padding_does_not_change_gradients(any_config, rows):
    """Neither do ids that stand in it: it is nowhere computed."""
    model, real = Transformer(any_config), rows["attention_mask"].bool()
    found = []
    for filler in (0, 17):
        model.zero_grad()
        model(**rows | {"input_ids": rows["input_ids"].masked_fill(~real, filler)}).sum().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
        assert one.isfinite().all()


def test_permuted_rows_give_permuted_states(any_config, rows):
    model, order = Transformer(any_config).eval(), torch.tensor([3, 0, 4, 2, 1])
    with torch.no_grad():
        close(model(**{name: ids[order] for name, ids in rows.items()}), model(**rows)[order])


def test_wanted_places_get_the_states_they_have_among_all(any_config, rows):
    model = Transformer(any_config).double()
    wanted = torch.tensor([0, 3, 13, 12, 36, 3])
    whole = model(**rows).flatten(0, 1)[wanted]
    some = model(**rows, wanted=wanted)
    torch.testing.assert_close(some, whole, rtol=1e-12, atol=1e-12)
    mine = torch.autograd.grad(some.sin().sum(), list(model.parameters()), allow_unused=True)
    other = torch.autograd.grad(whole.sin().sum(), list(model.parameters()), allow_unused=True)
    torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


def test_no_mask_and_no_types_are_a_mask_of_ones_and_types_of_zeros(any_config, rows):
    model, ids = Transformer(any_config).eval(), rows["input_ids"]
    with torch.no_grad():
        close(model(ids), model(ids, torch.ones_like(ids), torch.zeros_like(ids)))


def test_a_decoder_sees_nothing_after_a_token(micro: ModelConfig, rows):
    model = Transformer(replace(micro, is_decoder=True)).eval()
    changed = rows["input_ids"].clone()
    changed[:, 4:] = 9
    with torch.no_grad():
        before, after = model(**rows), model(**rows | {"input_ids": changed})
    close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


def test_checkpointed_layers_give_the_same_gradients(any_config, rows):
    model = Transformer(any_config)
    found = []
    for model.checkpoint_layers in (False, True):
        model.zero_grad()
        model(**rows).sin().sum().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_checkpointed_layers_keep_a_fraction_of_the_bytes(any_config, rows):
    """Of four layers, what goes into each is kept, and no more."""
    model, kept = Transformer(any_config), []
    for model.checkpoint_layers in (False, True):
        storages: dict[int, int] = {}

        def keep(tensor, storages=storages):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            states = model(**rows)
        kept.append(sum(storages.values()))
        del states
    assert kept[1] < 0.5 * kept[0]


def test_layers_of_a_group_are_one_module(micro: ModelConfig):
    shared, unshared = Transformer(micro), Transformer(replace(micro, num_hidden_groups=4))
    assert (len(shared.layers), len(unshared.layers)) == (1, 4)
    per_layer = sum(p.numel() for p in shared.layers.parameters())
    assert sum(p.numel() for p in unshared.layers.parameters()) == 4 * per_layer


def test_dropout_is_active_in_training_only(micro: ModelConfig, rows):
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "embedding_dropout_prob"):
        model = Transformer(replace(micro, **{name: 0.5})).train()
        assert not torch.equal(model(**rows), model(**rows)), name
        model.eval()
        assert torch.equal(model(**rows), model(**rows)), name


@pytest.mark.parametrize("place", ["embeddings", "layers.0.attention", "layers.0.feed_forward"])
def test_dropout_works_at_every_place_alone(micro: ModelConfig, rows, place):
    model = Transformer(micro).train()
    model.get_submodule(f"{place}.dropout").p = 0.5
    assert not torch.equal(model(**rows), model(**rows))


def test_local_attention_drops_weights_too(micro: ModelConfig):
    """Of values that are all 1 it gives back the weights that are left, scaled up."""
    changes = {"attention": "local", "local_attention": 4, "attention_probs_dropout_prob": 0.5}
    mechanism = LocalAttention(replace(micro, **changes)).train()
    torch.manual_seed(0)
    query, key, ones = torch.randn(8, 2, 60, 4), torch.randn(8, 2, 60, 4), torch.ones(8, 2, 60, 4)
    tokens = find_tokens(torch.ones(8, 60), None)
    kept = mechanism(query, key, ones, tokens, is_global=False)
    assert kept.std() > 0.1
    assert kept.mean().item() == pytest.approx(1, abs=0.05)
    close(mechanism.eval()(query, key, ones, tokens, is_global=False), ones)


def test_given_embeddings_are_shared_and_left_as_they_are(micro: ModelConfig):
    embeddings = Embeddings(micro)
    before = embeddings.word_embeddings.weight.clone()
    model = Transformer(micro, embeddings)
    assert model.embeddings is embeddings
    assert torch.equal(embeddings.word_embeddings.weight, before)


def test_rows_longer_than_the_position_table_are_refused(micro: ModelConfig):
    ids = torch.ones(1, 13, dtype=torch.long)
    with pytest.raises(ValueError, match="rows of 13 tokens; the model has 12 positions"):
        Transformer(micro)(ids)
