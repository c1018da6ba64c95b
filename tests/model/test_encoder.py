from dataclasses import replace

import pytest
import torch
from transformers import AlbertModel

from model.config import ModelConfig
from model.encoder import Embeddings, Encoder
from model.heads import MaskedLanguageModelHead, SentenceOrderHead

SHAPES = {
    "shared": {},
    "two groups": {"num_hidden_groups": 2},
    "nothing shared": {"num_hidden_groups": 4},
    "tanh gelu": {"hidden_act": "gelu_new"},
    "not factorized": {"embedding_size": 16},
    "one head": {"num_attention_heads": 1, "num_hidden_layers": 1},
}


def close(ours, theirs) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_hidden_states_equal_those_of_albert_model(
    micro: ModelConfig, rows, albert_config, copy_encoder, scramble, changes
):
    config = replace(micro, **changes)
    albert, encoder = AlbertModel(albert_config(config)).eval(), Encoder(config).eval()
    scramble(albert)
    copy_encoder(albert, encoder)
    real = rows["attention_mask"].bool()
    with torch.no_grad():
        ours, theirs = encoder(**rows), albert(**rows).last_hidden_state
    assert theirs[real].std() > 0.1
    close(ours[real], theirs[real])


def test_albert_base_has_as_many_parameters_as_albert_for_pretraining():
    config = ModelConfig(
        vocab_size=30522,
        embedding_size=128,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=512,
    )
    parts = Encoder(config), MaskedLanguageModelHead(config), SentenceOrderHead(config)
    # AlbertForPreTraining of transformers 5.23 with this shape, tied weights counted once.
    assert sum(p.numel() for part in parts for p in part.parameters()) == 11_881_148


def test_layers_of_a_group_are_one_module(micro: ModelConfig):
    shared, unshared = Encoder(micro), Encoder(replace(micro, num_hidden_groups=4))
    assert (len(shared.layers), len(unshared.layers)) == (1, 4)
    per_layer = sum(p.numel() for p in shared.layers.parameters())
    assert sum(p.numel() for p in unshared.layers.parameters()) == 4 * per_layer


def test_padding_does_not_change_a_row(micro: ModelConfig, rows):
    encoder = Encoder(micro).eval()
    with torch.no_grad():
        padded = encoder(**rows)
        for row, length in enumerate(rows["attention_mask"].sum(1).tolist()):
            alone = encoder(**{name: ids[row : row + 1, :length] for name, ids in rows.items()})
            close(padded[row, :length], alone[0])


def test_what_stands_in_the_padding_does_not_matter(micro: ModelConfig, rows):
    encoder, real = Encoder(micro).eval(), rows["attention_mask"].bool()
    other = rows | {"input_ids": rows["input_ids"].masked_fill(~real, 17)}
    with torch.no_grad():
        assert torch.equal(encoder(**rows)[real], encoder(**other)[real])


def test_permuted_rows_give_permuted_outputs(micro: ModelConfig, rows):
    encoder, order = Encoder(micro).eval(), torch.tensor([3, 0, 4, 2, 1])
    with torch.no_grad():
        close(encoder(**{name: ids[order] for name, ids in rows.items()}), encoder(**rows)[order])


def test_dropout_is_active_in_training_only(micro: ModelConfig, rows):
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        encoder = Encoder(replace(micro, **{name: 0.5})).train()
        assert not torch.equal(encoder(**rows), encoder(**rows)), name
        encoder.eval()
        assert torch.equal(encoder(**rows), encoder(**rows)), name


@pytest.mark.parametrize("place", ["embeddings", "layers.0.attention", "layers.0"])
def test_dropout_works_at_every_place_alone(micro: ModelConfig, rows, place):
    encoder = Encoder(micro).train()
    encoder.get_submodule(f"{place}.dropout").p = 0.5
    assert not torch.equal(encoder(**rows), encoder(**rows))


def test_weights_start_as_a_truncated_normal(micro: ModelConfig):
    config = replace(micro, vocab_size=20_000, initializer_range=0.1)
    encoder = Encoder(config)
    weight = encoder.embeddings.word_embeddings.weight
    assert weight.abs().max() <= 0.2
    # A normal cut off at two standard deviations keeps 0.8796 of its standard deviation.
    assert weight.std().item() == pytest.approx(0.08796, rel=0.01)
    for name, parameter in encoder.named_parameters():
        if "norm" in name.lower():
            assert parameter.eq(1.0 if name.endswith("weight") else 0.0).all(), name
        elif name.endswith("bias"):
            assert parameter.eq(0.0).all(), name
        else:
            assert 0.07 < parameter.std() < 0.11, name


def test_given_embeddings_are_shared_and_left_as_they_are(micro: ModelConfig):
    embeddings = Embeddings(micro)
    before = embeddings.word_embeddings.weight.clone()
    encoder = Encoder(micro, embeddings)
    assert encoder.embeddings is embeddings
    assert torch.equal(embeddings.word_embeddings.weight, before)


def test_rows_longer_than_the_position_table_are_refused(micro: ModelConfig):
    ids = torch.ones(1, 13, dtype=torch.long)
    with pytest.raises(ValueError, match="rows of 13 tokens; the model has 12 positions"):
        Encoder(micro)(ids, ids, ids * 0)
