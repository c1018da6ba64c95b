"""Rows as spans of the tokens of all texts, without padding; batches are gathered from them.

A row is `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]` by the tokenizer's own template; what is too
long loses tokens from the longer of its two texts first. `train.glue.row_tokenizer` makes them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.glue.template import Template

WIDTH_MULTIPLE = 8
"""Batches are padded to a multiple of this, which keeps GPU kernels aligned."""
NO_LABEL = -100
"""Of tokens that carry no tag; `torch`'s losses leave it out."""


@dataclass(frozen=True)
class Inputs:
    """What an encoder takes: (B, T) int64 each, padding where `attention_mask` is 0."""

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor


@dataclass(frozen=True)
class EncodedRows:
    """N rows of one split, each of S texts: where these lie among the tokens of all texts.

    Attributes:
        tokens: Token ids, uint16 or uint32: the template's special ones, then those of all texts.
        begins: (N, S) int64, first token of each text.
        counts: (N, S) int64, tokens of each text before truncation.
        template: What is put around the texts.
        max_length: The most tokens that a row may have.
        row_labels: As in `Examples`, by row; None in tagging.
        token_labels: Class of each of `tokens`, int64, `NO_LABEL` but on a word's first token;
            only in tagging.
        words: (N,) int64, words of each row; only in tagging.
    """

    tokens: NDArray[Any]
    begins: NDArray[np.int64]
    counts: NDArray[np.int64]
    template: Template
    max_length: int
    row_labels: NDArray[Any] | None = None
    token_labels: NDArray[np.int64] | None = None
    words: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.begins)

    def lengths(self) -> NDArray[np.int64]:
        """Return the tokens of each row, special ones included."""
        lengths: NDArray[np.int64] = self._kept().sum(axis=1) + self.template.num_special
        return lengths

    @property
    def truncated(self) -> int:
        """The rows that are too long and lose tokens."""
        return int((self._kept() < self.counts).any(axis=1).sum())

    @property
    def labels(self) -> NDArray[Any]:
        """The labels by row; in tagging those of all tokens that have one, row by row."""
        if self.token_labels is None:
            return np.asarray(self.row_labels)
        tokens = spread(self.begins[:, 0], self._kept()[:, 0])
        labels = self.token_labels[tokens]
        return np.extract(labels != NO_LABEL, labels)

    @property
    def label_starts(self) -> NDArray[np.int64]:
        """(N + 1,) Where the labels of each row begin in `labels`; last = their number."""
        if self.token_labels is None:
            return np.arange(len(self) + 1)
        before = np.append(0, np.cumsum(self.token_labels != NO_LABEL))
        begins = self.begins[:, 0]
        return np.append(0, np.cumsum(before[begins + self._kept()[:, 0]] - before[begins]))

    @property
    def lost_words(self) -> int:
        """The words whose tag no token carries: cut off, or without a token of their own."""
        return 0 if self.words is None else int(self.words.sum()) - len(self.labels)

    def gather(self, indices: NDArray[np.int64], pad_token_id: int) -> Inputs:
        """Return the rows at `indices`, padded to the longest of them."""
        part, source = self._layout(indices)
        is_token = part < self.template.num_parts
        input_ids = np.where(is_token, self.tokens[source].astype(np.int64), pad_token_id)
        return Inputs(
            torch.from_numpy(input_ids),
            torch.from_numpy(is_token.astype(np.int64)),
            torch.from_numpy(np.append(self.template.type_ids, 0)[part]),
        )

    def gather_labels(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the labels of the rows at `indices`: (B,), of a multi-label task (B, C).

        In tagging they are (B, T) as what `gather` returns, `NO_LABEL` where there is none.
        """
        if self.token_labels is None:
            return torch.from_numpy(np.asarray(self.row_labels)[indices])
        part, source = self._layout(indices)
        is_token = part < self.template.num_parts
        return torch.from_numpy(np.where(is_token, self.token_labels[source], NO_LABEL))

    def take(self, indices: NDArray[np.int64]) -> "EncodedRows":
        """Return the rows at `indices`, in that order."""
        return replace(
            self,
            begins=self.begins[indices],
            counts=self.counts[indices],
            row_labels=None if self.row_labels is None else self.row_labels[indices],
            words=None if self.words is None else self.words[indices],
        )

    def sample(self, count: int, seed: int) -> "EncodedRows":
        """Return `count` rows at most, in their order; which ones, `seed` and the number decide."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self.take(np.sort(chosen))

    def both_orders(self) -> "EncodedRows":
        """Return all rows, and after them all with their two texts swapped."""
        labels = self.row_labels
        return replace(
            self,
            begins=np.concatenate([self.begins, self.begins[:, ::-1]]),
            counts=np.concatenate([self.counts, self.counts[:, ::-1]]),
            row_labels=None if labels is None else np.concatenate([labels, labels]),
        )

    def _kept(self, rows: Any = slice(None)) -> NDArray[np.int64]:  # noqa: ANN401 - any index
        return truncate(self.counts[rows], self.max_length - self.template.num_special)

    def _layout(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for each place (B, T) the part of the template, and the index in `tokens`.

        After a row's end the part is `num_parts` and the index 0.
        """
        begins, counts = self.template.around(self.begins[indices], self._kept(indices))
        ends = np.cumsum(counts, axis=1)  # (B, P)
        width = -(-int(ends[:, -1].max()) // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
        places = np.arange(min(width, self.max_length))
        part = np.zeros((len(indices), len(places)), np.int64)
        for end in ends.T:
            part += places >= end[:, None]
        moves = np.pad(begins - (ends - counts), ((0, 0), (0, 1)))
        source = np.take_along_axis(moves, part, axis=1) + places
        return part, np.where(part < self.template.num_parts, source, 0)


def truncate(counts: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """Return how many tokens of each text (N, S) stay where `room` are left for both.

    The longer text is cut first; when it is as short as the other one, both are, and the odd token
    is left to the one that was longer, or to the second. These are the rules of `tokenizers`
    (longest_first of tokenizers/src/utils/truncation.rs).
    """
    if counts.shape[1] == 1:
        return np.minimum(counts, room)
    shorter = np.minimum(counts.min(axis=1), room // 2)
    longer = np.minimum(counts.max(axis=1), room - shorter)
    is_first_longer = counts[:, 0] > counts[:, 1]
    return np.where(
        is_first_longer[:, None],
        np.stack([longer, shorter], axis=1),
        np.stack([shorter, longer], axis=1),
    )


def spread(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of spans, one span after another."""
    starts = np.cumsum(counts) - counts
    return np.repeat(begins - starts, counts) + np.arange(counts.sum())
