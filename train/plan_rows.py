"""The rows that a plan is made for: those of shards, or, where there are none yet, assumed ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.config import LanguageModelConfig
from model.presets import PRESETS
from shards.format import ShardHeader
from shards.reader import ShardFolder, read_shard_manifest
from shards.shuffled import ShuffledRows
from train.config import PretrainConfig
from train.fake_step import make_rows
from train.guessing import MAX_ROWS
from train.runs import ModelKind, model_config, stages_of
from train.setup import choose_networks
from train.stages import Stage, with_rows
from train.step import Taken

VOCAB_SIZE, MAX_LENGTH = 30522, 128
"""Of BERT's published vocabulary, and of rows, where there are no shards to ask."""
MASK_SETS, MASK_PROBABILITY = 1, 0.15
LEAST_FILL = 0.6
"""Assumed rows are between so full and full: of rows of whole sentences a fifth is padding."""


@dataclass(frozen=True, kw_only=True)
class PlannedRows:
    """Stages, and rows for them.

    Attributes:
        stages: With a batch size each.
        headers: By length of rows.
        kind: The networks for them.
        shards: Where the rows are; None: they are assumed.
    """

    stages: tuple[Stage, ...]
    headers: Mapping[int, ShardHeader]
    kind: ModelKind
    shards: Path | None

    def count(self, max_length: int) -> int | None:
        """Return how many rows of a length there are; None: nobody knows."""
        if self.shards is None:
            return None
        return len(ShardFolder(self.shards, "train", max_length))

    def count_scored(self, max_length: int) -> int:
        """Return how many rows of a length an evaluation reads; where nobody knows, at most."""
        if self.shards is None:
            return MAX_ROWS
        return min(MAX_ROWS, len(ShardFolder(self.shards, "validation", max_length)))

    def take(self, stage: Stage, seed: int) -> Taken:
        """Return the rows of a stage's first update."""
        header, count = self.headers[stage.max_length], stage.batch_size or 1
        if self.shards is None:
            least = max(1, round(LEAST_FILL * stage.max_length))
            spread = stage.max_length + 1 - least
            rows = make_rows(header, least + np.arange(count) % spread)
            return Taken(rows, np.zeros(count, np.int64), header, 0)
        folder = ShardFolder(self.shards, "train", stage.max_length)
        rows, epochs = ShuffledRows(folder, seed).read(0, count)
        return Taken(rows, epochs, header, 0)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Return what is not known of the rows and was assumed, in sentences."""
        if self.shards is not None:
            return ()
        header = next(iter(self.headers.values()))
        if header.layout == "stream":
            rows = "rows of running text"
        else:
            rows = f"rows {(1 + LEAST_FILL) / 2:.0%} full, {header.mask_probability:.0%} masked"
        return (f"no shards: assumed {rows}, a vocabulary of {header.vocab_size:,} tokens",)


def plan_rows(config: PretrainConfig, shards: Path | None, vocab_size: int) -> PlannedRows:
    """Return rows for a run.

    Args:
        config: Of the run.
        shards: Folder that `pack` wrote; None: assume rows.
        vocab_size: Tokens in the vocabulary, where there are no shards.

    Raises:
        DataError: The shards do not fit the run.
    """
    if shards is not None:
        stages = stages_of(config, shards)
        _, headers = read_shard_manifest(shards)
        longest = headers[max(stage.max_length for stage in stages)]
        kind = choose_networks(config, longest, None, shards)
        return PlannedRows(stages=stages, headers=headers, kind=kind, shards=shards)
    stages = with_rows(config.stages or (Stage(MAX_LENGTH),), config.batch_size)
    lengths = {stage.max_length for stage in stages}
    assumed = {length: _assume_header(config, length, vocab_size) for length in lengths}
    kind = model_config(config, assumed[max(lengths)])
    return PlannedRows(stages=stages, headers=assumed, kind=kind, shards=None)


def _assume_header(config: PretrainConfig, max_length: int, vocab_size: int) -> ShardHeader:
    model = PRESETS[config.preset].model
    is_stream = isinstance(model, LanguageModelConfig) and model.model.is_decoder
    return ShardHeader(
        max_length=max_length,
        vocab_size=vocab_size,
        mask_sets=0 if is_stream else MASK_SETS,
        mask_probability=0.0 if is_stream else MASK_PROBABILITY,
        pad_token_id=0,
        unk_token_id=1,
        cls_token_id=2,
        sep_token_id=3,
        mask_token_id=4,
        tokenizer="",
        layout="stream" if is_stream else "pairs",
    )
