import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiled import byte_at, compiled, eight_bytes, trailing_zeros
from pipeline.words.trie import NO_PIECE, ROOT, make_trie

STRINGS = st.binary(min_size=1, max_size=6) | st.text("ab\xe9", min_size=1).map(str.encode)


def pieces_at(trie, text: bytes) -> dict[int, int]:
    """Return the id of each piece that a text begins with, by its end."""
    found, state = {}, ROOT
    for end, byte in enumerate(text, 1):
        place = trie.base[state] + byte
        if trie.check[place] != state:
            break
        state = place
        if trie.ids[state] != NO_PIECE:
            found[end] = int(trie.ids[state])
    return found


@given(st.dictionaries(STRINGS, st.integers(0, 2**32 - 2), max_size=60), st.binary(max_size=9))
def test_a_trie_finds_every_piece_that_a_text_begins_with(pieces, other):
    trie = make_trie(pieces)
    for text in [*pieces, *(piece + other for piece in pieces), other]:
        expected = {
            end: pieces[text[:end]] for end in range(1, len(text) + 1) if text[:end] in pieces
        }
        assert pieces_at(trie, text) == expected


def test_strings_of_all_bytes_find_room():
    pieces = {bytes([first, last]): first << 8 | last for first in range(256) for last in (0, 255)}
    trie = make_trie(pieces)
    assert all(pieces_at(trie, piece) == {2: number} for piece, number in pieces.items())


@compiled
def read(text, at):
    return eight_bytes(text.ctypes.data, at), byte_at(text.ctypes.data, at + 7)


@compiled
def count(bits):
    return trailing_zeros(bits)


@given(st.binary(min_size=8, max_size=24), st.data())
def test_eight_bytes_are_read_from_anywhere(content, data):
    at = data.draw(st.integers(0, len(content) - 8))
    found, byte = read(np.frombuffer(content, np.uint8), at)
    assert found == int.from_bytes(content[at : at + 8], "little")
    assert byte == content[at + 7]


@pytest.mark.parametrize("zeros", range(64))
def test_zeros_under_the_lowest_one_are_counted(zeros):
    assert count(np.uint64(1 << zeros)) == zeros
    assert count(np.uint64((1 << 63) | (1 << zeros))) == zeros
