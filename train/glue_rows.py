"""Examples as token ids, encoded once and kept without padding; batches are gathered from them.

A row is `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]` by the tokenizer's own template; what is too
long loses tokens from the longer of its two texts first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from pipeline.encode import load_tokenizer
from pipeline.tasks import Examples
from shards.errors import DataError

ENCODE_BATCH = 4096
WIDTH_MULTIPLE = 8
"""Batches are padded to a multiple of this, which keeps GPU kernels aligned."""


@dataclass(frozen=True)
class Inputs:
    """What an encoder takes: (B, T) int64 each, padding where `attention_mask` is 0."""

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor


@dataclass(frozen=True)
class EncodedRows:
    """One split in memory: all tokens one after another, and where each row begins.

    Attributes:
        tokens: Token ids of all rows, uint16 or uint32.
        starts: Index of each row's first token, and of the end (rows + 1).
        second_starts: Tokens before the second text, per row (= length if there is none).
        labels: As in `Examples`.
        truncated: Rows that were too long and lost tokens.
        max_length: The longest that a row may be.
    """

    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    second_starts: NDArray[np.int64]
    labels: NDArray[Any]
    truncated: int
    max_length: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts) - 1

    def lengths(self) -> NDArray[np.int64]:
        """Return the tokens of each row."""
        return np.diff(self.starts)

    def gather(self, indices: NDArray[np.int64], pad_token_id: int) -> Inputs:
        """Return the rows at `indices`, padded to the longest of them."""
        starts, lengths = self.starts[indices], self.lengths()[indices]
        width = -(-int(lengths.max()) // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
        positions = np.arange(min(width, self.max_length))
        is_token = positions < lengths[:, None]  # (B, T)
        source = np.where(is_token, starts[:, None] + positions, 0)
        input_ids = np.where(is_token, self.tokens[source].astype(np.int64), pad_token_id)
        is_second = is_token & (positions >= self.second_starts[indices][:, None])
        return Inputs(
            torch.from_numpy(input_ids),
            torch.from_numpy(is_token.astype(np.int64)),
            torch.from_numpy(is_second.astype(np.int64)),
        )


def load_row_tokenizer(folder: Path, max_length: int, vocab_size: int) -> Tokenizer:
    """Load `tokenizer.json` from an exported model, set to make rows of up to `max_length` tokens.

    Raises:
        DataError: The file is missing or broken, adds no [CLS] and [SEP], or has more tokens than
            the model.
    """
    path = folder / "tokenizer.json"
    remedy = "export the model again, or name a folder that holds its own tokenizer"
    tokenizer = load_tokenizer(path, remedy=remedy)
    if tokenizer.num_special_tokens_to_add(is_pair=True) < 3:
        raise DataError(f"{path} does not join two texts by [CLS] and [SEP]", remedy)
    if tokenizer.get_vocab_size() > vocab_size:
        problem = f"{path} has {tokenizer.get_vocab_size()} tokens, its model only {vocab_size}"
        raise DataError(problem, remedy)
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer


def encode_examples(tokenizer: Tokenizer, examples: Examples, max_length: int) -> EncodedRows:
    """Encode all examples; memory beyond the tokens themselves stays bounded."""
    id_type = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32
    tokens: list[NDArray[Any]] = []
    lengths: list[int] = []
    second_starts: list[int] = []
    truncated = 0
    for begin in range(0, len(examples), ENCODE_BATCH):
        texts: list[Any] = examples.first[begin : begin + ENCODE_BATCH]
        if examples.second is not None:
            texts = list(zip(texts, examples.second[begin : begin + ENCODE_BATCH], strict=True))
        encodings = tokenizer.encode_batch_fast(texts)
        tokens.append(np.concatenate([np.array(one.ids, dtype=id_type) for one in encodings]))
        lengths.extend(len(one.ids) for one in encodings)
        second_starts.extend(len(one.ids) - sum(one.type_ids) for one in encodings)
        truncated += sum(bool(one.overflowing) for one in encodings)
    return EncodedRows(
        np.concatenate(tokens),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.array(second_starts, dtype=np.int64),
        examples.labels,
        truncated,
        max_length,
    )
