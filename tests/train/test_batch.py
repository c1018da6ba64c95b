from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from model.config import LanguageModelConfig
from model.configure import configure
from model.electra import make_electra
from model.language_model import LanguageModel
from model.places import Places
from model.rows import to_rows
from shards.format import unpack_masks
from shards.reader import ShardFolder
from train.batch import to_batch, to_batches

CPU = torch.device("cpu")


def test_a_batch_holds_what_the_shard_says(shards_folder):
    folder = ShardFolder(shards_folder, "train")
    rows = folder.gather(np.arange(50))
    epochs = np.arange(50) % 7
    batch = to_batch(rows, epochs, folder.header, CPU)

    position = np.arange(folder.header.max_length)
    is_real = position < rows.length[:, None]
    is_second = (position >= rows.second_start[:, None]) & is_real
    masks = unpack_masks(
        rows.mask_set(epochs % folder.header.mask_sets, folder.header), folder.header.max_length
    )
    label = np.where(rows.sentence_order_label == 255, -100, rows.sentence_order_label.astype(int))
    assert np.array_equal(batch.input_ids.numpy(), rows.input_ids)
    assert np.array_equal(batch.attention_mask.numpy(), is_real)
    assert np.array_equal(batch.token_type_ids.numpy(), is_second)
    assert np.array_equal(batch.masked_positions.numpy(), masks)
    assert np.array_equal(batch.sentence_order_label.numpy(), label)


def test_an_epoch_uses_another_mask_set_than_the_one_before(shards_folder):
    folder = ShardFolder(shards_folder, "train")
    rows = folder.gather(np.arange(50))
    first, second = (
        to_batch(rows, np.full(50, epoch), folder.header, CPU).masked_positions for epoch in (0, 1)
    )
    assert not torch.equal(first, second)


def test_places_sent_are_those_that_a_model_finds(shards_folder):
    folder = ShardFolder(shards_folder, "train")
    rows, epochs = folder.gather(np.arange(50)), np.arange(50) % 7
    for batch in (
        to_batch(rows, epochs, folder.header, CPU),
        *to_batches(rows, epochs, folder.header, 7, CPU),
    ):
        found = to_rows(**vars(batch) | {"places": None}).places
        assert batch.places.tokens.lengths == found.tokens.lengths
        for mine, other in zip(tensors(batch.places), tensors(found), strict=True):
            assert torch.equal(mine, other) if isinstance(mine, torch.Tensor) else mine is other


def tensors(places: Places) -> list[torch.Tensor | None]:
    tokens = places.tokens
    return [tokens.is_real, tokens.places, tokens.by_length, *places[1:]]


def test_micro_batches_are_rows_of_like_lengths_as_wide_as_the_longest(shards_folder):
    folder = ShardFolder(shards_folder, "train")
    rows, epochs = folder.gather(np.arange(50)), np.zeros(50, int)
    batches = to_batches(rows, epochs, folder.header, 8, CPU)
    assert [len(batch.input_ids) for batch in batches] == [8] * 6 + [2]
    lengths = [batch.attention_mask.sum(1).tolist() for batch in batches]
    assert list(chain(*lengths)) == sorted(rows.length.tolist(), reverse=True)
    for batch, counts in zip(batches, lengths, strict=True):
        width = batch.input_ids.shape[1]
        assert width == min(64, -(-max(counts) // 8) * 8)
        assert {tensor.shape[1] for tensor in vars(batch).values() if has_columns(tensor)} == {
            width
        }
    assert batches[-1].input_ids.shape[1] < 64


def has_columns(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() == 2


def test_a_width_is_never_above_the_shards_own(shards_folder):
    folder = ShardFolder(shards_folder, "train")
    rows = folder.gather(np.arange(50))
    header = replace(folder.header, max_length=61)
    narrow = replace(rows, input_ids=rows.input_ids[:, :61], length=rows.length.clip(max=61))
    widths = [
        one.input_ids.shape[1] for one in to_batches(narrow, np.zeros(50, int), header, 5, CPU)
    ]
    assert max(widths) == 61


def test_a_stream_has_no_masks(shards_folder):
    folder = ShardFolder(shards_folder, "train")
    rows = folder.gather(np.arange(6))
    stream = replace(rows, masks=rows.masks[:, :0])
    header = replace(folder.header, layout="stream", mask_sets=0)
    batch = to_batch(stream, np.arange(6), header, CPU)
    assert not batch.masked_positions.any()
    assert len(batch.places.masked) == 0
    assert len(batch.places.followed) == rows.length.sum() - 6


def electra(header) -> nn.Module:
    """A pair that samples one and the same token everywhere."""
    config = configure("tiny", **shape_of(header))
    model = make_electra(replace(config, sentence_order="both", mask_replace_prob=1.0))
    with torch.no_grad():
        model.generator.objectives["masked_language_model"].head.bias[11] = 1e4
    return model


def language_model(header, **changes) -> nn.Module:
    """Of what is drawn for a masked token, nothing is left to chance."""
    shape = configure("tiny", **shape_of(header)).discriminator
    return LanguageModel(
        LanguageModelConfig(
            model=replace(shape, hidden_size=32, num_attention_heads=2, **changes),
            mask_token_id=header.mask_token_id,
            span_boundary_weight=1.0,
            mask_replace_prob=1.0,
            random_replace_prob=0.0,
        )
    )


def shape_of(header) -> dict[str, int]:
    return {
        "vocab_size": header.vocab_size,
        "max_position_embeddings": header.max_length,
        "pad_token_id": header.pad_token_id,
        "mask_token_id": header.mask_token_id,
    }


@pytest.mark.parametrize(
    "make",
    [
        electra,
        language_model,
        partial(language_model, is_decoder=True, norm_first=True),
        partial(language_model, attention="nystrom", num_landmarks=40),
        partial(language_model, attention="local", local_attention=16),
    ],
    ids=["electra", "masked", "causal", "nystrom", "local"],
)
def test_losses_of_micro_batches_add_up_to_those_of_the_batch(shards_folder, make):
    folder = ShardFolder(shards_folder, "train")
    rows, epochs = folder.gather(np.arange(24)), np.arange(24) % 3
    model = make(folder.header).double()
    parameters = list(model.parameters())
    whole = to_batch(rows, epochs, folder.header, CPU)
    counts = model.count(**vars(whole))
    output = model(**vars(whole))
    expected = torch.autograd.grad(model.loss(output), parameters, allow_unused=True)
    totals, found = Counter(), [torch.zeros_like(parameter) for parameter in parameters]
    losses = dict.fromkeys(output.losses, 0.0)
    for batch in to_batches(rows, epochs, folder.header, 7, CPU):
        part = model(**vars(batch))
        totals.update({name: count.item() for name, count in part.counts.items()})
        losses = {name: losses[name] + loss.item() for name, loss in part.losses.items()}
        grads = torch.autograd.grad(model.loss(part, counts), parameters, allow_unused=True)
        found = [a if b is None else a + b for a, b in zip(found, grads, strict=True)]
    assert totals == {name: count.item() for name, count in counts.items()} == output.counts
    assert losses == pytest.approx({name: loss.item() for name, loss in output.losses.items()})
    expected = [
        zero if one is None else one
        for one, zero in zip(expected, map(torch.zeros_like, parameters), strict=True)
    ]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
