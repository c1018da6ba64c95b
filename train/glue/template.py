"""The special tokens of a row, as a tokenizer itself puts them around one text or two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

PROBE = "a"
"""A text of which every tokenizer makes a token, be it the unknown one."""


@dataclass(frozen=True)
class Template:
    """A row as P parts: every special token is one, and every text.

    Attributes:
        special: Ids of the special tokens, in their order.
        is_text: (P,) bool.
        type_ids: (P,) int64, the type that the tokens of each part have.
    """

    special: tuple[int, ...]
    is_text: NDArray[np.bool_]
    type_ids: NDArray[np.int64]

    @property
    def num_parts(self) -> int:
        """P."""
        return len(self.is_text)

    @property
    def num_special(self) -> int:
        """The special tokens of a row."""
        return len(self.special)

    @property
    def num_texts(self) -> int:
        """The texts of a row."""
        return self.num_parts - self.num_special

    def around(
        self, begins: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return begins and counts (B, P) of all parts, given those of the texts (B, S).

        Special tokens lie by their order at index 0 and after it.
        """
        all_begins = np.empty((len(begins), self.num_parts), np.int64)
        all_counts = np.ones_like(all_begins)
        all_begins[:, ~self.is_text] = np.arange(self.num_special)
        all_begins[:, self.is_text] = begins
        all_counts[:, self.is_text] = counts
        return all_begins, all_counts


def learn_template(tokenizer: Tokenizer, texts: int) -> Template:
    """Return what a tokenizer that does not truncate puts around one text or two."""
    encoding = tokenizer.encode(PROBE, PROBE if texts == 2 else None)
    special: list[int] = []
    is_text: list[bool] = []
    type_ids: list[int] = []
    before = None
    tokens = zip(encoding.ids, encoding.type_ids, encoding.sequence_ids, strict=True)
    for id_, type_id, text in tokens:
        if text is None:
            special.append(id_)
        if text is None or text != before:
            is_text.append(text is not None)
            type_ids.append(type_id)
        before = text
    return Template(tuple(special), np.array(is_text, np.bool_), np.array(type_ids, np.int64))
