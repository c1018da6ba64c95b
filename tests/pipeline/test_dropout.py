"""Words divided at random, the same each time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.encode import Encoder
from pipeline.words.spelling import START, Dropout
from shards.errors import DataError

UNITS = ["Baba conder elfi grahu in lo!", "", "Merno persta? Sta, conder elfi.", "grahu " * 40]
KEYS = np.arange(len(UNITS), dtype=np.uint64)
NO_CUTS = [()] * len(UNITS)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_other_tokens_are_the_same_text(encoders, kind):
    encoder = encoders[kind]
    usual = encoder.encode(UNITS, NO_CUTS)
    anew = encoder.encode(UNITS, NO_CUTS, Dropout(0.5, KEYS))
    assert len(anew.input_ids) > len(usual.input_ids)
    for unit in range(len(UNITS)):
        both = [
            found.input_ids[found.units[unit] : found.units[unit + 1]].tolist()
            for found in (usual, anew)
        ]
        decode = encoder.tokenizer.decode
        assert decode(both[0]) == decode(both[1])
    assert (anew.flags & START).sum() == (usual.flags & START).sum()


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
@settings(max_examples=40)
@given(
    units=st.lists(st.text("Baba conder! 中é\x00", max_size=60), max_size=5),
    seed=st.integers(0, 99),
)
def test_a_unit_s_tokens_depend_on_its_key_alone(encoders, kind, units, seed):
    keys = np.arange(seed, seed + len(units), dtype=np.uint64)
    together = encoders[kind].encode(units, [()] * len(units), Dropout(0.3, keys))
    for number, unit in enumerate(units):
        alone = encoders[kind].encode([unit], [()], Dropout(0.3, keys[number : number + 1]))
        first, last = together.units[number], together.units[number + 1]
        assert together.input_ids[first:last].tolist() == alone.input_ids.tolist()
        assert together.flags[first:last].tolist() == alone.flags.tolist()


def test_without_merges_a_word_is_its_bytes(encoders):
    found = encoders["bpe"].encode(["conder elfi"], [()], Dropout(1.0, KEYS[:1]))
    assert len(found.input_ids) == len("conder elfi")


def test_each_coming_of_a_word_is_divided_by_itself(encoders):
    found = encoders["wordpiece"].encode(["grahu " * 400], [()], Dropout(0.5, KEYS[:1]))
    starts = np.flatnonzero(found.flags & START)
    words = {tuple(word.tolist()) for word in np.split(found.input_ids, starts)[1:]}
    assert len(words) > 3


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_cuts_are_where_the_words_are(encoders, kind):
    encoder, unit = encoders[kind], "Baba conder. Elfi grahu in lo!"
    cut = unit.index(" Elfi") if kind == "bpe" else unit.index("Elfi")
    found = encoder.encode([unit], [(0, cut)], Dropout(0.5, KEYS[:1]))
    text = encoder.tokenizer.decode(found.input_ids[found.cuts[1] :].tolist())
    assert text.strip().lower() == "elfi grahu in lo!"


def test_passing_over_nothing_is_refused_by_what_only_the_library_spells(tokenizers):
    encoder = Encoder(tokenizers["bpe"])
    encoder._columnar = None
    with pytest.raises(DataError, match="cannot be divided at random"):
        encoder.encode(["a"], [()], Dropout(0.1, KEYS[:1]))
