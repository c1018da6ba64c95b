"""What the package `tokenizers` tells of the tokens of a text."""

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from pipeline.words.spelling import PUNCTUATION, START


def flags_of(encoding: Encoding, text: str) -> NDArray[np.uint8]:
    """Return (tokens,) START where a pre-token begins, PUNCTUATION where that is no word."""
    words = np.array([-1, *encoding.word_ids], np.int64)
    is_start = words[1:] != words[:-1]
    flags = is_start.astype(np.uint8) * np.uint8(START)
    firsts = np.flatnonzero(is_start)
    if len(firsts):
        places = np.array(encoding.offsets, np.int64)
        begins = np.minimum.reduceat(places[:, 0], firsts).tolist()
        ends = np.maximum.reduceat(places[:, 1], firsts).tolist()
        is_mark = [
            not any(map(str.isalnum, text[begin:end]))
            for begin, end in zip(begins, ends, strict=True)
        ]
        flags |= np.array(is_mark, np.uint8)[np.cumsum(is_start) - 1] * np.uint8(PUNCTUATION)
    return np.asarray(flags, np.uint8)
