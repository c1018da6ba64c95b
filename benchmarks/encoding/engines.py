"""Encoders under one roof: ours, `tokenizers`, and those that do byte-level BPE only."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks.encoding.text import Block
from pipeline.encode import EncodedUnits, Encoder


class FlatIds(NamedTuple):
    """Ids of P paragraphs.

    Attributes:
        ids: (tokens,) uint32, of one paragraph after another.
        lengths: (P,) int64, tokens of each paragraph.
    """

    ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class Engine:
    """One way from text to ids.

    Attributes:
        name: As the table shows it.
        start: Makes the function that is timed, without memory of any text; its time is not
            counted. ModuleNotFoundError: the engine is not installed.
        flatten: Makes arrays of what that function returns; not timed.
        learns: Whether text that came before makes it faster, so that it needs to see all.
    """

    name: str
    start: Callable[[Tokenizer], Callable[[Block], Any]]
    flatten: Callable[[Any], FlatIds]
    learns: bool


def count_differing(one: FlatIds, other: FlatIds) -> int:
    """Return how many paragraphs do not have the same ids."""
    if len(one.lengths) != len(other.lengths):
        raise ValueError(f"{len(one.lengths)} paragraphs are not {len(other.lengths)}")
    if np.array_equal(one.lengths, other.lengths) and np.array_equal(one.ids, other.ids):
        return 0
    pairs = zip(_paragraphs(one), _paragraphs(other), strict=True)
    return sum(not np.array_equal(left, right) for left, right in pairs)


def _paragraphs(flat: FlatIds) -> list[NDArray[np.uint32]]:
    return np.split(flat.ids, np.cumsum(flat.lengths)[:-1]) if len(flat.lengths) else []


def is_gpt2_like(tokenizer: Tokenizer) -> bool:
    """Return whether it is byte-level BPE over GPT-2's pattern, with no normalizer before it."""
    parts = json.loads(tokenizer.to_str())
    splitter = parts["pre_tokenizer"] or {}
    return (
        parts["model"]["type"] == "BPE"
        and parts["normalizer"] is None
        and splitter.get("type") == "ByteLevel"
        and splitter["use_regex"]
        and not splitter["add_prefix_space"]
    )


def hearth(memory: int) -> Engine:
    """Return our encoder, as a worker with `memory` bytes runs it."""

    def start(tokenizer: Tokenizer) -> Callable[[Block], EncodedUnits]:
        encoder = Encoder(tokenizer, memory)
        return lambda block: encoder.encode(block, [()] * len(block))

    return Engine("hearth", start, _flatten_hearth, learns=True)


def _flatten_hearth(encoded: EncodedUnits) -> FlatIds:
    return FlatIds(encoded.input_ids, np.diff(encoded.units))


def _start_tokenizers(tokenizer: Tokenizer) -> Callable[[Block], list[list[int]]]:
    def encode(block: Block) -> list[list[int]]:
        encodings = tokenizer.encode_batch_fast(block, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    return encode


def _flatten_lists(lists: list[list[int]]) -> FlatIds:
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    return FlatIds(np.fromiter(chain.from_iterable(lists), np.uint32, lengths.sum()), lengths)


def _start_gigatoken(tokenizer: Tokenizer) -> Callable[[Block], Any]:
    parts = json.loads(tokenizer.to_str())
    parts["added_tokens"] = []  # it has no switch that leaves those typed in a text alone
    parts["post_processor"] = None
    peer = import_module("gigatoken").Tokenizer.from_json(json.dumps(parts))
    return lambda block: peer.encode_batch(block, parallel=False).layout


def _flatten_gigatoken(layout: Any) -> FlatIds:  # noqa: ANN401 - of a package that may be absent
    return FlatIds(np.asarray(layout.content.data), np.diff(np.asarray(layout.offsets.data)))


def _start_tiktoken(tokenizer: Tokenizer) -> Callable[[Block], list[list[int]]]:
    specials = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    # bytes_to_unicode of GPT-2's encoder.py, the other way round
    bytes_of = {chr(byte): byte for byte in printable}
    bytes_of |= {chr(0x100 + number): byte for number, byte in enumerate(others)}
    # Ids count up in the order of the merges, so that they serve as ranks.
    ranks = {
        bytes(bytes_of[character] for character in token): number
        for token, number in tokenizer.get_vocab().items()
        if token not in specials and bytes_of.keys() >= set(token)
    }
    peer = import_module("tiktoken").Encoding(
        "benchmark",
        pat_str=import_module("tiktoken_ext.openai_public").r50k_pat_str,
        mergeable_ranks=ranks,
        special_tokens={},
    )
    return lambda block: [peer.encode_ordinary(paragraph) for paragraph in block]


LIBRARY = Engine("encode_batch_fast", _start_tokenizers, _flatten_lists, learns=False)
PEERS = (
    Engine("gigatoken", _start_gigatoken, _flatten_gigatoken, learns=True),
    Engine("tiktoken", _start_tiktoken, _flatten_lists, learns=False),
)
"""What does byte-level BPE only."""
