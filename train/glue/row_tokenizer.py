"""Examples to rows of token ids: the tokenizer of a model's folder, asked once about each word."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.encode import Cuts, Encoder
from pipeline.tasks import Examples
from shards.errors import DataError
from train.folder_tokenizer import load_folder_tokenizer
from train.glue.rows import NO_LABEL, EncodedRows
from train.glue.template import learn_template

ENCODE_BLOCK = 1 << 14
"""Texts that are encoded together; few enough for memory, many enough for speed."""


class RowTokenizer:
    """A tokenizer that makes rows of up to `max_length` tokens.

    Attributes:
        tokenizer: It says how a text is divided, and what stands around it.
        max_length: The most tokens of a row.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._encoder = Encoder(tokenizer)
        self._templates = [learn_template(tokenizer, texts) for texts in (1, 2)]

    @property
    def path(self) -> str:
        """How texts are encoded: "columnar", or "library" and why."""
        return self._encoder.path

    @property
    def is_fit(self) -> bool:
        """Whether rows begin with a special token, and two texts are told apart by another."""
        one, two = self._templates
        is_whole = one.num_texts == 1 and two.num_texts == 2
        return is_whole and two.num_special >= 3 and not (one.is_text[0] or two.is_text[0])

    def encode(self, examples: Examples) -> EncodedRows:
        """Encode all examples; memory beyond the tokens themselves stays bounded."""
        columns = [examples.first] if examples.second is None else [examples.first, examples.second]
        template = self._templates[len(columns) - 1]
        is_small = max(self.tokenizer.get_vocab().values()) < 1 << 16
        tokens = [np.array(template.special, np.uint16 if is_small else np.uint32)]
        counts, firsts = [], []
        used = template.num_special
        for texts, words in ((columns[0], examples.words), *((one, None) for one in columns[1:])):
            for ids, of_texts, cuts in self._encode_column(texts, words):
                tokens.append(ids.astype(tokens[0].dtype))
                counts.append(of_texts)
                firsts.append(cuts + used)
                used += len(ids)
        of_columns = np.concatenate(counts).reshape(len(columns), -1)
        ends = template.num_special + np.cumsum(of_columns).reshape(of_columns.shape)
        rows = EncodedRows(
            np.concatenate(tokens), (ends - of_columns).T, of_columns.T, template, self.max_length
        )
        if examples.words is None:
            return replace(rows, row_labels=examples.labels)
        return _tagged(rows, np.concatenate(firsts), examples.words, examples.labels)

    def _encode_column(
        self, texts: Sequence[str], words: Sequence[Sequence[str]] | None
    ) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]]:
        """Yield ids of some texts, how many each has, and the first of each word, by its index."""
        for begin in range(0, len(texts), ENCODE_BLOCK):
            block = texts[begin : begin + ENCODE_BLOCK]
            cuts: Cuts = [()] * len(block)
            if words is not None:
                cuts = [_word_begins(row) for row in words[begin : begin + ENCODE_BLOCK]]
            encoded = self._encoder.encode(block, cuts)
            yield encoded.input_ids, np.diff(encoded.units), encoded.cuts


def _word_begins(words: Sequence[str]) -> list[int]:
    """Return where the words of a row begin, each with the space before it."""
    ends = list(accumulate(len(word) + 1 for word in words))
    return [0, *(end - 1 for end in ends[:-1])]


def _tagged(
    rows: EncodedRows,
    firsts: NDArray[np.int64],
    words: Sequence[Sequence[str]],
    labels: NDArray[Any],
) -> EncodedRows:
    """Give the first token of each word its label; a word without tokens begins with the next."""
    token_labels = np.full(len(rows.tokens), NO_LABEL, np.int64)
    has_token = firsts < np.append(firsts[1:], len(rows.tokens))
    token_labels[firsts[has_token]] = labels[has_token]
    return replace(rows, token_labels=token_labels, words=np.array([len(row) for row in words]))


def load_row_tokenizer(folder: Path, max_length: int, vocab_size: int) -> RowTokenizer:
    """Load the tokenizer in a model's folder: a tokenizer.json, a vocab.txt or a spiece.model.

    Raises:
        DataError: A file is missing or broken, adds no [CLS] and [SEP], or has more tokens than
            the model; or rows have no room for text.
    """
    remedy = "export the model again, or name a folder that holds its own tokenizer"
    tokenizer = load_folder_tokenizer(folder, remedy)
    size = max(tokenizer.get_vocab().values(), default=-1) + 1
    if size > vocab_size:
        raise DataError(f"{folder}'s tokenizer has {size} tokens, its model {vocab_size}", remedy)
    rows = RowTokenizer(tokenizer, max_length)
    if not rows.is_fit:
        problem = f"{folder}'s tokenizer does not join two texts by [CLS] and [SEP]"
        raise DataError(problem, remedy)
    least = tokenizer.num_special_tokens_to_add(is_pair=True) + 2
    if max_length < least:
        problem = f"a row of {max_length} tokens has no room for two texts"
        raise DataError(problem, f"give --max-length {least} or more")
    return rows
