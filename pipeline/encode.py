"""Text to ids, a block of documents at a time, with the sentences and words found on the way.

The unit is the paragraph: ids equal `Tokenizer.encode` of it. "[MASK]" typed in a text is text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.draws import mix
from pipeline.sentences import LANGUAGE, joins_next, split_document
from pipeline.words.columnar import Columnar
from pipeline.words.library import flags_of
from pipeline.words.rules import Unsupported, learn_rules
from pipeline.words.spelling import EVERY_PIECE, PUNCTUATION, START, Dropout
from pipeline.words.unspaced import begins_of
from shards.errors import DataError

MEMORY = 10**9
"""Bytes that a process takes at most where nobody chooses; half of it is for tables of words."""
_WORD_STREAMS = np.uint64(0x776F7264)
"""Keeps the draws of words apart from those of chunks and masks."""
BATCH_UNITS = 2048
"""Units handed to `tokenizers` at a time: its encodings take 50 times the text's memory."""
CHECKED_TEXT = 300_000
"""Characters, about 1,000 paragraphs, encoded both ways before the columnar way is believed."""


@dataclass(frozen=True)
class EncodedDocuments:
    """Tokens of D documents in one flat array.

    Attributes:
        input_ids: (tokens,) uint32, no special tokens.
        is_word_start: (tokens,) bool, True where a word begins: a pre-token of the tokenizer, or
            in a script without spaces a token.
        is_punctuation: (tokens,) bool, True in a word without letter and number.
        sentences: (sentences + 1,) int64, token at which each sentence begins; last = tokens.
        documents: (D + 1,) int64, sentence at which each document begins; last = sentences.
    """

    input_ids: NDArray[np.uint32]
    is_word_start: NDArray[np.bool_]
    is_punctuation: NDArray[np.bool_]
    sentences: NDArray[np.int64]
    documents: NDArray[np.int64]

    @classmethod
    def of_flags(
        cls,
        input_ids: NDArray[np.uint32],
        flags: NDArray[np.uint8],
        sentences: NDArray[np.int64],
        documents: NDArray[np.int64],
    ) -> "EncodedDocuments":
        """Return documents whose words are told by START and PUNCTUATION."""
        is_start, is_punctuation = (flags & START) > 0, (flags & PUNCTUATION) > 0
        return cls(input_ids, is_start, is_punctuation, sentences, documents)

    def without(self, is_left_out: NDArray[np.bool_]) -> "EncodedDocuments":
        """Return the same number of documents, those left out (D,) without sentences."""
        of_sentence = np.repeat(~is_left_out, np.diff(self.documents))
        lengths = np.diff(self.sentences)
        of_token = np.repeat(of_sentence, lengths)
        return EncodedDocuments(
            self.input_ids[of_token],
            self.is_word_start[of_token],
            self.is_punctuation[of_token],
            _starts(lengths[of_sentence]),
            _starts(np.diff(self.documents) * ~is_left_out),
        )


class EncodedUnits(NamedTuple):
    """Tokens of U units of text.

    Attributes:
        input_ids: (tokens,) uint32.
        flags: (tokens,) uint8, START and PUNCTUATION of `pipeline.words.spelling`.
        units: (U + 1,) int64, token at which each unit begins; last = tokens.
        cuts: (cuts,) int64, for each character asked for the first token that begins at or after;
            none may follow white space, which some tokenizers count to the word after it.
    """

    input_ids: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    units: NDArray[np.int64]
    cuts: NDArray[np.int64]


Cuts = Sequence[Sequence[int]]
"""For each unit some of its characters, by position, in order."""


class Encoder:
    """A tokenizer that is asked about each distinct word once, where its rules allow that.

    Attributes:
        tokenizer: As `load_tokenizer` returns it; its ids are the truth.
        path: "columnar", or "library" and why.
    """

    def __init__(self, tokenizer: Tokenizer, memory: int = MEMORY) -> None:
        self.tokenizer = tokenizer
        self.path = "columnar"
        self._columnar: Columnar | None = None
        self._unchecked = CHECKED_TEXT
        self._begins = begins_of(tokenizer)
        try:
            self._columnar = Columnar(tokenizer, learn_rules(tokenizer), self._begins, memory // 2)
        except Unsupported as why:
            self.path = f"library ({why})"

    def encode(
        self, units: Sequence[str], cuts: Cuts, dropout: Dropout = EVERY_PIECE
    ) -> EncodedUnits:
        """Return the tokens of each unit by itself, equal to those of `Tokenizer.encode`.

        Args:
            units: (U,) texts.
            cuts: Of each unit the characters whose tokens are asked for.
            dropout: Where its probability is above 0, words get other tokens, drawn by the key of
                each unit (U,), and a cut in a word moves to the word's begin.

        Raises:
            DataError: The words of this tokenizer are spelt by the package `tokenizers` alone,
                whose draws cannot be repeated.
        """
        if dropout.probability > 0:
            return self._encode_anew(units, cuts, dropout)
        if self._columnar is None:
            return encode_by_library(self.tokenizer, self._begins, units, cuts)
        encoded = EncodedUnits(*self._columnar.encode(units, cuts))
        if self._unchecked > 0:
            self._check(units, encoded)
        if self._columnar is None:
            return encode_by_library(self.tokenizer, self._begins, units, cuts)
        return encoded

    def _encode_anew(self, units: Sequence[str], cuts: Cuts, dropout: Dropout) -> EncodedUnits:
        if self._unchecked > 0:
            self.encode(units, cuts)
        if self._columnar is None or self._columnar.rules.spell is None:
            problem = "this tokenizer's words cannot be divided at random in a repeatable way"
            raise DataError(problem, "leave out --subword-dropout")
        return EncodedUnits(*self._columnar.encode(units, cuts, dropout))

    def _check(self, units: Sequence[str], encoded: EncodedUnits) -> None:
        """Compare the first units with the library's; where they differ, it is used from now on."""
        ends = np.cumsum([len(unit) for unit in units])
        units = units[: int(np.searchsorted(ends, self._unchecked)) + 1]
        self._unchecked -= sum(map(len, units))
        no_cuts = [()] * len(units)
        expected = encode_by_library(self.tokenizer, self._begins, units, no_cuts)
        tokens = encoded.units[len(units)]
        if not (
            np.array_equal(encoded.units[: len(units) + 1], expected.units)
            and np.array_equal(encoded.input_ids[:tokens], expected.input_ids)
            and np.array_equal(encoded.flags[:tokens] & START, expected.flags & START)
        ):
            self._columnar = None
            self.path = "library (the first units showed a difference)"


def load_tokenizer(path: Path, remedy: str = "run `python cli.py tokenize` first") -> Tokenizer:
    """Load a tokenizer.json so that a text is encoded whole, as text: special tokens in it too.

    Raises:
        DataError: The file is missing or not a tokenizer; its remedy is `remedy`.
    """
    if not path.is_file():
        raise DataError(f"no tokenizer at {path}", remedy)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises bare Exception
        raise DataError(f"{path} is not a tokenizer ({error})", remedy) from error
    # Not saved in the file, so it must be set after every load.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encode_documents(
    encoder: Encoder,
    texts: Sequence[str],
    language: str = LANGUAGE,
    dropout: Dropout = EVERY_PIECE,
) -> EncodedDocuments:
    """Tokenize documents and find their words and sentences; `dropout` has a key for each."""
    documents: list[list[str]] = []
    cuts: list[list[int]] = []
    for text in texts:
        of_document, of_sentences = split_document(text, language)
        documents.append(of_document)
        cuts += of_sentences
    paragraphs = [paragraph for document in documents for paragraph in document]
    counts = np.array([len(document) for document in documents], np.int64)
    encoded = encoder.encode(paragraphs, cuts, _of_paragraphs(dropout, counts))
    document_starts = encoded.units[_starts(counts)]

    is_heading = np.array([join for document in documents for join in joins_next(document)], bool)
    is_heading &= np.diff(encoded.units) > 0
    headed = encoded.units[1:][is_heading]
    starts = np.setdiff1d(encoded.cuts, np.setdiff1d(headed, document_starts))
    starts = starts[starts < encoded.units[-1]]  # an empty paragraph at the very end
    return EncodedDocuments.of_flags(
        encoded.input_ids,
        encoded.flags,
        sentences=np.append(starts, encoded.units[-1]),
        documents=np.searchsorted(starts, document_starts),
    )


def _of_paragraphs(dropout: Dropout, counts: NDArray[np.int64]) -> Dropout:
    """Return a dropout with a key for each of (D,) paragraphs of each document."""
    if dropout.probability <= 0:
        return dropout
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = np.repeat(dropout.keys, counts) ^ mix(places.astype(np.uint64) ^ _WORD_STREAMS)
    return Dropout(dropout.probability, mix(keys))


def encode_by_library(
    tokenizer: Tokenizer, begins: NDArray[np.uint8], units: Sequence[str], cuts: Cuts
) -> EncodedUnits:
    """Return the same as `Encoder.encode`, every unit tokenized by `tokenizers`.

    `begins` is (V,) by id START of the tokens that begin a word wherever they stand.
    """
    ids, flags, found = [], [], []
    tokens = 0
    lengths = []
    for first in range(0, len(units), BATCH_UNITS):
        batch = list(units[first : first + BATCH_UNITS])
        encodings = tokenizer.encode_batch(batch, add_special_tokens=False)
        asked = cuts[first : first + BATCH_UNITS]
        for unit, encoding, of_unit in zip(batch, encodings, asked, strict=True):
            ids.append(np.array(encoding.ids, np.uint32))
            flags.append(flags_of(encoding, unit) | begins[ids[-1]])
            is_begin = len(of_unit) == 0 or of_unit[-1] == 0
            offsets = [0] if is_begin else [start for start, _ in encoding.offsets]
            # A token that a cut goes through stays with the sentence in which it begins.
            found.append(np.searchsorted(offsets, of_unit).astype(np.int64) + tokens)
            lengths.append(len(encoding.ids))
            tokens += lengths[-1]
    return EncodedUnits(
        np.concatenate([*ids, np.empty(0, np.uint32)]),
        np.concatenate([*flags, np.empty(0, np.uint8)]),
        _starts(lengths),
        np.concatenate([*found, np.empty(0, np.int64)]),
    )


def _starts(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where consecutive pieces of these lengths begin, and where the last one ends."""
    return np.append(0, np.cumsum(lengths, dtype=np.int64))
