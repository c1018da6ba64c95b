"""What both sides train: the networks of a preset, the same rows in the same order."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from model.config import ElectraConfig, ModelConfig
from model.configure import configure
from model.flops import BatchSize
from model.presets import PAIRS, PairName
from shards.format import ShardHeader, unpack_masks
from shards.order import Order, fitting_block, share
from shards.reader import ShardFolder

SEED = 0
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Job:
    """What both sides train.

    Attributes:
        shards: Folder of shards.
        dataset: Folder of the same rows as `datasets` has them.
        preset: Networks and learning rate.
        length: Places of a row.
        rows: Of a step.
        steps: Of the whole run; the schedule ends with them.
        precision: Of the products of matrices.
        device: "cpu" or "cuda".
        threads: Of torch.
        workers: Processes that make batches on the side of `datasets`.
        memory: Bytes of the device that a side may take; None = all.
        micro_batch: Rows of our forward passes at most; None = all of a step.
    """

    shards: Path
    dataset: Path
    preset: PairName
    length: int
    rows: int
    steps: int
    precision: Precision
    device: str
    threads: int
    workers: int = 0
    memory: int | None = None
    micro_batch: int | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Return the type that `precision` names."""
        found: torch.dtype = getattr(torch, self.precision)
        return found

    @property
    def learning_rate(self) -> float:
        """Return the preset's."""
        return PAIRS[self.preset].learning_rate

    @property
    def warmup_steps(self) -> int:
        """Return in how many steps the learning rate rises: a tenth of all."""
        return max(1, self.steps // 10)

    def open(self) -> ShardFolder:
        """Open the rows."""
        return ShardFolder(self.shards, "train", self.length)

    def networks(self, header: ShardHeader) -> ElectraConfig:
        """Return the pair without dropout, sentence order and tokens that show through."""
        found = configure(
            self.preset,
            vocab_size=header.vocab_size,
            max_position_embeddings=header.max_length,
            pad_token_id=header.pad_token_id,
            mask_token_id=header.mask_token_id,
        )
        pair = cast(ElectraConfig, found)
        return replace(
            pair,
            generator=_without_dropout(pair.generator),
            discriminator=_without_dropout(pair.discriminator),
            sentence_order="neither",
            mask_replace_prob=1.0,
        )


def _without_dropout(config: ModelConfig) -> ModelConfig:
    return replace(
        config,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        embedding_dropout_prob=0.0,
    )


def rows_of(job: Job, shards: ShardFolder, step: int) -> NDArray[np.int64]:
    """Return the numbers of the rows (rows,) that both sides take in a step."""
    order = Order(len(shards), SEED, fitting_block(shards.header.row_bytes))
    return order.take(*share(step, job.rows))[0]


def size_of(job: Job, shards: ShardFolder, step: int) -> BatchSize:
    """Return how much there is to compute in a step, padding left out, in attention too."""
    rows = shards.gather(rows_of(job, shards, step))
    first_set = rows.mask_set(np.zeros(len(rows), np.int64), shards.header)
    length = rows.length.astype(np.float64)
    return BatchSize(
        rows=len(rows),
        length=round(float(np.sqrt(np.mean(length**2)))),
        tokens=int(length.sum()),
        masked=int(unpack_masks(first_set, shards.header.max_length).sum()),
    )
