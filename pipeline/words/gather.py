"""From numbers of words back to tokens, and to the tokens at given places; in machine code."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import Index, byte_at, compiled, eight_bytes
from pipeline.words.cuts import next_word
from pipeline.words.spelling import ID_BITS, Spelling
from pipeline.words.table import Bytes

NEVER = np.int64(1) << 62
_ONES, _SIX, _SEVEN, _TOP = np.uint64(0x0101010101010101), np.uint64(6), np.uint64(7), np.uint64(56)


class Sought(NamedTuple):
    """Units and cuts whose first tokens are sought while words go by.

    Attributes:
        unit_words: (U + 1,) int64, words before each unit; NEVER where that is not known yet.
        unit_tokens: (U + 1,) int64, gains the tokens before each unit.
        cuts: (C,) int64, bytes, in order.
        cut_stops: (C,) int64, the end of the unit of each.
        cut_starts: (C,) int64, the begin of the unit of each.
        cut_tokens: (C,) int64, gains the first token that begins at or after each cut; for a cut
            within a word the first token of that word.
        within: (C,) int64, gains the begin of the word that a cut is within, or -1.
        state: (6,) int64, next unit, next cut, begin of the last word (-1: none), its token; begin
            and end of the last word whose end was asked for.
    """

    unit_words: NDArray[np.int64]
    unit_tokens: NDArray[np.int64]
    cuts: NDArray[np.int64]
    cut_starts: NDArray[np.int64]
    cut_stops: NDArray[np.int64]
    cut_tokens: NDArray[np.int64]
    within: NDArray[np.int64]
    state: NDArray[np.int64]


@compiled
def byte_places(raw: Bytes, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at which bytes of a text in UTF-8 some of its characters begin, both in order."""
    found = np.empty(len(places), np.int64)
    text = raw.ctypes.data
    character: Index = 0
    at: Index = 0
    for index in range(len(places)):
        while character + 8 <= places[index]:
            some = eight_bytes(text, at)
            inner = (some >> _SEVEN) & ~(some >> _SIX) & _ONES  # bytes 10xxxxxx begin nothing
            character += 8 - np.int64((inner * _ONES) >> _TOP)
            at += 8
        while character < places[index] or byte_at(text, at) & 0xC0 == 0x80:
            character += byte_at(text, at) & 0xC0 != 0x80
            at += 1
        found[index] = at
    return found


@compiled
def count_tokens(codes: NDArray[np.int32], spelling: Spelling) -> Index:
    """Return how many tokens words have together."""
    singles, counts = spelling.singles, spelling.counts
    total = np.int64(0)
    for code in codes:
        total += 1 if singles[code] else np.int64(counts[code])
    return total


@compiled
def gather(
    codes: NDArray[np.int32],
    spelling: Spelling,
    ids: NDArray[np.uint32],
    flags: Bytes,
    tokens: NDArray[np.int64],
    before: Index,
) -> None:
    """Copy the tokens of each word in `codes`, and note before which token it begins."""
    known_ids, known_flags, firsts, counts, singles, _ = spelling
    at = 0
    for index in range(len(codes)):
        word = codes[index]
        tokens[index] = before + at
        single = singles[word]
        if single:  # nine of ten words: one look instead of four
            ids[at], flags[at] = np.uint32(single), np.uint8(single >> ID_BITS)
            at += 1
        else:
            first = firsts[word]
            for offset in range(counts[word]):
                ids[at] = known_ids[first + offset]
                flags[at] = known_flags[first + offset]
                at += 1
    tokens[len(codes)] = before + at


@compiled
def settle(
    raw: Bytes,
    begins: NDArray[np.int64],
    tokens: NDArray[np.int64],
    before: Index,
    rules: tuple[Bytes, int],
    sought: Sought,
) -> None:
    """Note the tokens of the units and cuts that some words in a row decide.

    Args:
        raw: The text.
        begins: (W,) bytes at which these words begin.
        tokens: (W + 1,) first token of each word, and of the next.
        before: Words before these.
        rules: Classes of characters, and style.
        sought: Gains the tokens.
    """
    state = sought.state
    unit, cut, last, last_token = state[0], state[1], state[2], state[3]
    count = len(begins)
    while unit < len(sought.unit_words) and sought.unit_words[unit] <= before + count:
        sought.unit_tokens[unit] = tokens[sought.unit_words[unit] - before]
        unit += 1
    word = 0
    while cut < len(sought.cuts):
        while word < count and begins[word] < sought.cuts[cut]:
            last, last_token = begins[word], tokens[word]
            word += 1
        if word == count:
            break
        _settle_cut(raw, cut, last, last_token, tokens[word], rules, sought)
        cut += 1
    state[0], state[1], state[2], state[3] = unit, cut, last, last_token


@compiled
def settle_rest(raw: Bytes, tokens: Index, rules: tuple[Bytes, int], sought: Sought) -> None:
    """Note the tokens of the units and cuts after which no word begins."""
    state = sought.state
    sought.unit_tokens[state[0] :] = tokens
    for cut in range(state[1], len(sought.cuts)):
        _settle_cut(raw, cut, state[2], state[3], tokens, rules, sought)


@compiled
def _settle_cut(
    raw: Bytes,
    cut: Index,
    last: Index,
    last_token: Index,
    token: Index,
    rules: tuple[Bytes, int],
    sought: Sought,
) -> None:
    """Note that `token` is the first at a cut, unless that is within the last word before it."""
    classes, style = rules
    sought.cut_tokens[cut], sought.within[cut] = token, -1
    if last >= sought.cut_starts[cut]:
        state = sought.state
        if state[4] != last:  # a text without blanks is one word with many cuts
            _, end, _, _ = next_word(
                raw.ctypes.data, last, sought.cut_stops[cut], classes.ctypes.data, style
            )
            state[4], state[5] = last, end
        if sought.cuts[cut] < state[5]:
            sought.cut_tokens[cut], sought.within[cut] = last_token, last
