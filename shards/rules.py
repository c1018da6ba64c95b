"""The rules of FORMAT.md that rows must keep.

Checking goes at the pace of memory: each rule first asks of many rows at once whether any breaks
it, which numpy answers fast, and looks for the rows only then.
"""

from collections.abc import Iterator
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards.format import NO_LABEL, Rows, ShardHeader, mask_budget

Wrong = NDArray[np.bool_] | np.bool_
"""(N,): the rows that break a rule. (To numpy's types, a comparison of arrays may be a scalar.)"""

CACHE_SLOTS = 1 << 17
"""Slots looked at at a time: what is computed of them stays in a core's second-level cache."""
BLOCK_SLOTS = 8 * CACHE_SLOTS
"""Slots of the rows that are checked at a time: so do those rows' other columns."""


def blocks(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Yield rows a block at a time, each with the number of its first row."""
    size = max(1, BLOCK_SLOTS // rows.input_ids.shape[1])
    for start in range(0, len(rows), size):
        yield start, rows.take(slice(start, start + size))


def check_rows(header: ShardHeader, rows: Rows) -> Iterator[tuple[str, Wrong]]:
    """Yield (problem, (N,) bool of the rows that have it) for each rule that some row breaks."""
    rules = _stream_rules if header.layout == "stream" else _segment_rules
    for problem, wrong in rules(header, rows):
        if wrong.any():
            yield problem, wrong


def _stream_rules(header: ShardHeader, rows: Rows) -> Iterator[tuple[str, Wrong]]:
    """Yield the rules of a row of running text."""
    length = rows.length
    yield "a length outside 1 to the width", (length < 1) | (length > header.max_length)
    yield "a second segment out of place", rows.second_start != length
    yield "a label in a stream", rows.sentence_order_label != NO_LABEL
    special = [header.cls_token_id, header.mask_token_id]
    yield from _look_at_slots(header, rows, special, [])[0]


def _segment_rules(header: ShardHeader, rows: Rows) -> Iterator[tuple[str, Wrong]]:
    """Yield the rules of a row of one or two segments."""
    labels, width = rows.sentence_order_label, header.max_length
    length, second = rows.length.astype(np.int32), rows.second_start.astype(np.int32)
    has_second = second != length
    # Where [CLS] and [SEP] belong, made to lie in the row even if the columns say otherwise.
    last, middle = np.clip(length - 1, 0, width - 1), np.clip(second - 1, 0, width - 1)
    special = [header.cls_token_id, header.sep_token_id, header.mask_token_id]
    found, tokens = _look_at_slots(header, rows, special, [np.zeros_like(last), last, middle])

    yield "a length outside 3 to the width", (length < 3) | (length > width)
    yield "no [CLS] at the start", tokens[0] != header.cls_token_id
    yield "no [SEP] at the end", tokens[1] != header.sep_token_id
    # B begins right after a [SEP] and holds at least one token before its own.
    yield "a second segment out of place", has_second & ((second < 3) | (second > length - 2))
    is_sep = tokens[2] == header.sep_token_id
    yield "no [SEP] before the second segment", has_second & ~is_sep
    has_label = labels != NO_LABEL
    yield "a label that is not 0, 1 or 255", has_label & (labels > 1)
    may_have = has_second if header.layout == "pairs" else False
    yield "a label that does not fit its segments", has_label != may_have
    yield from found
    if header.mask_sets:
        yield from _mask_rules(header, rows, last, middle)


def _look_at_slots(
    header: ShardHeader, rows: Rows, special: list[int], places: list[NDArray[np.int32]]
) -> tuple[list[tuple[str, Wrong]], NDArray[Any]]:
    """Look at every slot, once.

    Args:
        header: The shard's header.
        rows: N rows.
        special: Tokens that may not stand in the text.
        places: P arrays (N,), positions where they may.

    Returns:
        The rules about all slots, and (P, N) the tokens at `places`.
    """
    outside, padding, early, inside = np.zeros((4, len(rows)), np.bool_)
    tokens = np.empty((len(places), len(rows)), header.id_type)
    width = header.max_length
    position = np.arange(width, dtype=rows.length.dtype)
    size = max(1, CACHE_SLOTS // width)
    row = np.arange(size)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        ids = rows.input_ids[part]
        if ids.max() >= header.vocab_size:
            outside[part] = (ids >= header.vocab_size).any(1)
        is_padding = position >= rows.length[part, None]
        differs = (ids == header.pad_token_id) != is_padding
        if differs.any():
            padding[part] = (differs & is_padding).any(1)
            early[part] = (differs & ~is_padding).any(1)
        is_special = ids == special[0]
        for token in special[1:]:
            is_special |= ids == token
        for place, token_there in zip(places, tokens, strict=True):
            slots = row[: len(ids)], place[part]
            token_there[part] = ids[slots]
            is_special[slots] = False
        if is_special.any():
            inside[part] = (is_special & ~is_padding).any(1)
    rules = {
        "an id outside the vocabulary": outside,
        "padding that is not [PAD]": padding,
        "[PAD] before the padding": early,
        "a special token inside the text": inside,
    }
    return list(rules.items()), tokens


def _mask_rules(
    header: ShardHeader, rows: Rows, last: NDArray[np.int32], middle: NDArray[np.int32]
) -> Iterator[tuple[str, Wrong]]:
    """Yield the rules of masks, of which bitsets are enough.

    Args:
        header: The shard's header.
        rows: N rows.
        last: (N,) the position of the last [SEP].
        middle: (N,) the position of the [SEP] before the second segment, if there is one.
    """
    word = np.dtype(f"u{gcd(header.mask_bytes, 8)}")
    beyond = _bits_from(np.full(1, header.max_length, np.int32), header.mask_bytes).view(word)
    forbidden = _bits_from(last, header.mask_bytes)
    forbidden[:, 0] |= 1
    forbidden[np.arange(len(rows)), middle >> 3] |= np.left_shift(1, middle & 7).astype(np.uint8)
    forbidden = forbidden.view(word)
    sets = rows.masks.view(word)
    sets = sets.reshape(len(rows), header.mask_sets, header.mask_bytes // word.itemsize)
    if _has_common_bits(sets, forbidden):
        for which in range(header.mask_sets):
            common = sets[:, which] & forbidden
            text = f"mask set {which}"
            yield f"{text} covers special tokens or padding", (common & ~beyond).any(1)
            yield f"{text} has bits beyond the row", (common & beyond).any(1)
    budget = mask_budget(rows.length, header.mask_probability)
    is_over = _count_bits(sets) > budget[:, None]
    for which in np.flatnonzero(is_over.any(0)).tolist():
        yield f"mask set {which} is over its budget", is_over[:, which]


def _bits_from(first: NDArray[np.int32], size: int) -> NDArray[np.uint8]:
    """Return (N, size) bitsets in which every bit from `first` (N,) on is 1."""
    byte = np.arange(size, dtype=np.int16)
    bits = (byte > (first >> 3).astype(np.int16)[:, None]).view(np.uint8) * np.uint8(255)
    inside = np.flatnonzero(first < size * 8)
    bits[inside, first[inside] >> 3] = np.left_shift(255, first[inside] & 7).astype(np.uint8)
    return bits


def _has_common_bits(sets: NDArray[Any], forbidden: NDArray[Any]) -> bool:
    """Return whether some set in (N, S, words) has a bit of its row's (N, words)."""
    common = np.zeros(len(sets), sets.dtype)
    for which, word in np.ndindex(sets.shape[1:]):  # numpy is slow over few words a row
        common |= sets[:, which, word] & forbidden[:, word]
    return bool(common.any())


def _count_bits(sets: NDArray[Any]) -> NDArray[np.int32]:
    """Return (N, S) how many bits are 1 in each set of (N, S, words)."""
    counts = np.bitwise_count(sets)
    total = np.zeros(sets.shape[:2], np.int32)
    for word in range(sets.shape[2]):
        total += counts[:, :, word]
    return total
