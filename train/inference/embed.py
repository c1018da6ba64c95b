"""Texts to vectors: the mean of a model's last hidden states, or the first token's.

Shapes: B rows, T tokens of the longest, H hidden width.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from shards.errors import DataError
from shards.files import write_atomically
from train.inference.answers import TextError
from train.inference.encoding import check_length, end_of_text, first_tokens
from train.inference.loaded import Loaded
from train.out_of_memory import memory_for

Pooling = Literal["mean", "first"]
WINDOW = 1024
"""Texts that are sorted by length together, and one row group of the file."""
BATCH_PLACES = 4096
"""Tokens, padding included, that are computed at once."""


@dataclass(frozen=True)
class Embeddings:
    """What a model makes of N texts.

    Attributes:
        vectors: (N, H) float32.
        tokens: How many tokens of each were read (N,), special ones included.
        is_cut: Which texts had more (N,).
    """

    vectors: NDArray[np.float32]
    tokens: NDArray[np.int32]
    is_cut: NDArray[np.bool_]


@dataclass(frozen=True)
class EmbeddedFile:
    """What was written: texts, their width H, and how many of them were cut."""

    texts: int
    width: int
    cut: int


@torch.inference_mode()
def embed(
    loaded: Loaded, texts: Sequence[str], pooling: Pooling = "mean", *, cuts: bool = False
) -> Embeddings:
    """Return the vectors of texts, in their order.

    Args:
        loaded: Any model; of a pair, its discriminator.
        texts: At least one token each.
        pooling: "mean" over all tokens, special ones included, or the "first" token ([CLS]).
        cuts: Whether a text that is longer than the model takes is cut to that.

    Raises:
        DataError: A text is empty or too long, or the first token of a causal model is asked for.
    """
    check_pooling(loaded, pooling)
    rows = [_encode(loaded, text, cuts) for text in texts]
    lengths = np.array([len(ids) for ids, _ in rows], np.int32)
    vectors = np.empty((len(rows), loaded.main.transformer.config.hidden_size), np.float32)
    for batch in batches_by_length(lengths):
        pooled = _embed_rows(loaded, [rows[number][0] for number in batch.tolist()], pooling)
        vectors[batch] = pooled.cpu().numpy()
    return Embeddings(vectors, lengths, np.array([is_cut for _, is_cut in rows], np.bool_))


def check_out(out: Path, file: Path) -> None:
    """Check that writing `out` takes away nothing but an earlier output.

    Raises:
        DataError: It is a folder or a device, or the file that is read.
    """
    if not out.exists():
        return
    if not out.is_file():
        raise DataError(f"{out} is there, and no regular file", "name another file with --out")
    if file.exists() and out.samefile(file):
        raise DataError(f"{out} is the file to read", "name another file with --out")


def embed_file(
    loaded: Loaded,
    texts: Iterable[str],
    out: Path,
    pooling: Pooling = "mean",
    *,
    cuts: bool = False,
    tick: Callable[[int], object] = lambda count: None,
) -> EmbeddedFile:
    """Write texts and their vectors to a Parquet file, which appears when it is whole.

    Its columns are `text`, `tokens` (int32) and `embedding` (fixed_size_list<float32>[H]). Memory
    holds WINDOW texts at a time.

    Args:
        loaded: As in `embed`.
        texts: Read as they are needed.
        out: The file.
        pooling: As in `embed`.
        cuts: As in `embed`.
        tick: Called with a number of texts that are done.

    Raises:
        DataError: As in `embed`; the message has the text's number, counted from 1.
    """
    check_pooling(loaded, pooling)
    width = loaded.main.transformer.config.hidden_size
    schema, done, cut = _schema(width), 0, 0
    with write_atomically(out) as file, pq.ParquetWriter(file, schema) as writer:
        for window in _windows(texts):
            try:
                made = embed(loaded, window, pooling, cuts=cuts)
            except TextError as error:
                raise error.numbered(done + window.index(error.text) + 1) from error
            writer.write_table(_as_table(window, made, schema))
            done, cut = done + len(window), cut + int(made.is_cut.sum())
            tick(len(window))
    return EmbeddedFile(done, width, cut)


def _schema(width: int) -> pa.Schema:
    vector = pa.list_(pa.float32(), width)
    return pa.schema([("text", pa.string()), ("tokens", pa.int32()), ("embedding", vector)])


def _as_table(texts: list[str], made: Embeddings, schema: pa.Schema) -> pa.Table:
    flat = pa.array(made.vectors.reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(flat, made.vectors.shape[1])
    return pa.table([pa.array(texts), pa.array(made.tokens), vectors], schema=schema)


def check_pooling(loaded: Loaded, pooling: Pooling) -> None:
    """Check that the first token of a model has seen the others.

    Raises:
        DataError: It is asked for and has not.
    """
    if pooling == "first" and loaded.is_decoder:
        problem = f"the first token of {loaded.folder}, a causal model, sees nothing after it"
        raise DataError(problem, "use --pooling mean")


def batches_by_length(lengths: NDArray[np.int32]) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of rows to compute together: alike in length, BATCH_PLACES at most."""
    order = np.argsort(-lengths, kind="stable")
    first = 0
    while first < len(order):
        count = max(1, BATCH_PLACES // int(lengths[order[first]]))
        yield order[first : first + count]
        first += count


def _windows(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while window := list(islice(remaining, WINDOW)):
        yield window


def _encode(loaded: Loaded, text: str, cuts: bool) -> tuple[list[int], bool]:
    """Return the tokens of a text, special ones around it, and whether it was cut."""
    encoding = first_tokens(loaded, loaded.main, text)
    if not cuts:
        remedy = "shorten it, or cut what is too long with --truncate"
        check_length(text, encoding, loaded.main, remedy)
    ids, end = encoding.ids, end_of_text(encoding)
    excess = max(0, len(ids) - loaded.main.transformer.config.max_position_embeddings)
    return ids[: end - excess] + ids[end:], excess > 0


def _embed_rows(loaded: Loaded, rows: list[list[int]], pooling: Pooling) -> Tensor:
    """Return the vectors (B, H) of rows of tokens."""
    longest = max(map(len, rows))
    padding = loaded.main.transformer.config.pad_token_id
    input_ids = torch.tensor([ids + [padding] * (longest - len(ids)) for ids in rows])
    counts = torch.tensor([len(ids) for ids in rows])
    mask = (torch.arange(longest) < counts[:, None]).long()
    with memory_for(f"{len(rows)} texts of {longest} tokens", "use --device cpu"):
        input_ids, mask = input_ids.to(loaded.device), mask.to(loaded.device)
        states: Tensor = loaded.main.transformer(
            input_ids, mask
        ).float()  # (B, T, H), 0 in the padding
        if pooling == "first":
            return states[:, 0]
        return states.sum(1) / mask.sum(1, keepdim=True)
