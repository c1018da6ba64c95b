import numpy as np
import torch

from shards.format import unpack_masks
from shards.reader import ShardFolder
from train.batch import to_batch


def test_a_batch_holds_what_the_shard_says(shards_folder):
    folder = ShardFolder(shards_folder, "train")
    rows = folder.gather(np.arange(50))
    epochs = np.arange(50) % 7
    batch = to_batch(rows, epochs, folder.header, torch.device("cpu"))

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
        to_batch(rows, np.full(50, epoch), folder.header, torch.device("cpu")).masked_positions
        for epoch in (0, 1)
    )
    assert not torch.equal(first, second)
