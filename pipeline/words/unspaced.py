"""Scripts written without spaces: there a run of text is no word, and each token begins one.

Masks cover whole words and long sentences are cut at words; Japanese that were one word would never
be masked. Which tokens begin a word is told by the token alone: it is learnt once, and is the same
however a text was tokenized.
"""

import unicodedata
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.words.bpe import byte_characters
from pipeline.words.spelling import START
from pipeline.words.unigram import METASPACE

BLOCKS = (
    *((0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x0F00, 0x0FFF)),  # Thai, Lao, Tibetan
    *((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),  # Myanmar
    *((0x1780, 0x17FF), (0x1950, 0x19FF), (0x1A20, 0x1AAF)),  # Khmer, Tai Le, New Tai Lue, Tai Tham
    *((0x1B00, 0x1B7F), (0xA980, 0xA9DF), (0xAA80, 0xAADF)),  # Balinese, Javanese, Tai Viet
    *((0x2E80, 0x303F), (0x3190, 0x31EF), (0x3200, 0x33FF)),  # radicals, signs and forms of Han
    *((0x3040, 0x30FF), (0x31F0, 0x31FF), (0x1AFF0, 0x1B16F)),  # Hiragana, Katakana
    *((0x3100, 0x312F), (0xA000, 0xA4CF)),  # Bopomofo, Yi
    *((0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),  # Han
    *((0xFE30, 0xFE4F), (0xFF00, 0xFFEF)),  # forms that stand in a column, or are as wide as Han
)
"""First and last character of blocks of Unicode (Blocks.txt of its Character Database): the scripts
that put no space between words, and the signs that go with them."""
_IS_UNSPACED = np.zeros(0x110000, np.bool_)
for _first, _last in BLOCKS:
    _IS_UNSPACED[_first : _last + 1] = True


def begins_of(tokenizer: Tokenizer) -> NDArray[np.uint8]:
    """Return (V,) by id: START of a token whose first character is of `BLOCKS`, else 0.

    A mark that belongs to the character before it begins nothing, and no token of bytes does that
    begins within a character. One that ends within its first character begins a word where its
    bytes leave no character but those of `BLOCKS`.
    """
    vocabulary: Mapping[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    splitter = tokenizer.pre_tokenizer
    if splitter is not None and b'"ByteLevel"' in splitter.__getstate__():
        bytes_of = {character: byte for byte, character in enumerate(byte_characters())}
        found = [
            number
            for token, number in vocabulary.items()
            if _bytes_begin([bytes_of.get(character, 0) for character in token[:5]])
        ]
    else:
        prefix = getattr(tokenizer.model, "continuing_subword_prefix", None) or METASPACE
        found = [
            number
            for token, number in vocabulary.items()
            if not token.isascii() and _begins(token.removeprefix(prefix)[:1])
        ]
    begins = np.zeros(1 + max(vocabulary.values(), default=-1), np.uint8)
    begins[found] = START
    return begins


def _begins(character: str) -> bool:
    is_unspaced = character != "" and bool(_IS_UNSPACED[ord(character)])
    return is_unspaced and unicodedata.category(character)[0] != "M"


def _bytes_begin(token: list[int]) -> bool:
    """Return whether the first five bytes of a token, a blank among them, begin a word."""
    if token[:1] == [ord(" ")]:
        token = token[1:]
    if not token or not 0xE0 <= token[0] <= 0xF4:  # U+0800 to the last character
        return False
    size = 3 if token[0] < 0xF0 else 4
    known = bytes(token[:size])
    if len(known) == size:
        return _begins(known.decode(errors="ignore")[:1])  # nothing, if it is no UTF-8
    code = known[0] & (0x0F if size == 3 else 0x07)
    for byte in known[1:]:
        code = code << 6 | byte & 0x3F
    missing = 6 * (size - len(known))
    return bool(_IS_UNSPACED[code << missing : (code + 1) << missing].all())
