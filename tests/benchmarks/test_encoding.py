"""The pure parts of the benchmarks of encoding, and one run of each on a few MB of prose."""

import json
from itertools import chain

import numpy as np
import pytest
from click.testing import CliRunner
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer

from benchmarks import encode, growth
from benchmarks.encoding.engines import (
    LIBRARY,
    PEERS,
    FlatIds,
    count_differing,
    hearth,
    is_gpt2_like,
)
from benchmarks.encoding.text import in_proportion
from benchmarks.encoding.worker import at_marks


def flat(*paragraphs: list[int]) -> FlatIds:
    lengths = np.array([len(one) for one in paragraphs], np.int64)
    return FlatIds(np.array([*chain.from_iterable(paragraphs)], np.uint32), lengths)


@pytest.fixture(scope="module")
def bpe():
    tokenizer = ByteLevelBPETokenizer()
    text = ["ba con der el fi gra", "a typed <|endoftext|> é"] * 20
    tokenizer.train_from_iterator(
        text, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
    )
    tokenizer._tokenizer.encode_special_tokens = True
    return tokenizer._tokenizer


def test_paragraphs_that_differ_are_counted():
    ours = flat([1, 2], [], [3], [4, 5])
    assert count_differing(ours, flat([1, 2], [], [3], [4, 5])) == 0
    assert count_differing(ours, flat([1, 2], [], [9], [4])) == 2
    assert count_differing(ours, flat([1], [2], [3], [4, 5])) == 2
    assert count_differing(flat(), flat()) == 0
    with pytest.raises(ValueError, match="4 paragraphs are not 1"):
        count_differing(ours, flat([1, 2, 3, 4, 5]))


def test_sources_are_read_in_proportion_to_their_size():
    streams = [(4, iter([["aa"], ["bb"]])), (8, iter([["cc"], ["dd"], ["ee"], ["ff"]]))]
    order = "".join(block[0][0] for block in in_proportion(streams))
    assert order == "acdbef"


def test_the_clock_is_read_when_a_mark_is_passed_and_at_the_end():
    blocks = [(4, 1.0), (4, 1.0), (4, 0.5)]
    assert at_marks(blocks, (3, 8, 100)) == [(4, 1.0), (8, 2.0), (12, 2.5)]
    assert at_marks(blocks, (5, 6)) == [(8, 2.0), (12, 2.5)]
    assert at_marks(blocks, (12,)) == [(12, 2.5)]
    assert at_marks(blocks, ()) == [(12, 2.5)]


def test_costs_are_of_all_text_and_of_the_newest_part():
    costs = growth.costs_of([(1_000_000, 0.2), (3_000_000, 0.3)])
    assert costs["mb"] == [1.0, 3.0]
    assert costs["ms_per_mb"] == pytest.approx([200, 100])
    assert costs["ms_per_new_mb"] == pytest.approx([200, 50])


def test_peers_are_asked_for_byte_level_bpe_only(bpe):
    assert is_gpt2_like(bpe)
    assert not is_gpt2_like(BertWordPieceTokenizer()._tokenizer)
    assert not is_gpt2_like(ByteLevelBPETokenizer(lowercase=True)._tokenizer)
    assert not is_gpt2_like(ByteLevelBPETokenizer(add_prefix_space=True)._tokenizer)


@pytest.mark.parametrize("engine", [hearth(10**8), *PEERS], ids=lambda engine: engine.name)
def test_every_engine_has_the_ids_of_the_library(bpe, engine):
    block = ["ba con", "", "a typed <|endoftext|> in it", "é \u3000 中", "con  der\n\nel's"]
    try:
        encode_block = engine.start(bpe)
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    found = engine.flatten(encode_block(block))
    expected = LIBRARY.flatten(LIBRARY.start(bpe)(block))
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.lengths.tolist() == expected.lengths.tolist()


@pytest.fixture(scope="module")
def some_text(tmp_path_factory, write_source, prose):
    folder = tmp_path_factory.mktemp("text")
    write_source(folder / "books", prose(4000, 7))
    return folder


@pytest.mark.slow
def test_both_benchmarks_end_with_a_line_of_json(some_text, tmp_path):
    options = ["--text", str(some_text), "--vocab", str(tmp_path), "--type", "wordpiece"]
    result = CliRunner().invoke(encode.main, options)
    assert result.exit_code == 0, result.output
    last = json.loads(result.output.splitlines()[-1])
    assert last["identical"] is last["wordpiece"]["identical"] is True
    assert {"ratio", "mb_per_s", "peak_rss_mb"} <= last.keys() & last["wordpiece"].keys()
    assert 50 < last["peak_rss_mb"] < 1000

    result = CliRunner().invoke(growth.main, [*options, "--plot", str(tmp_path / "plot.png")])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output.splitlines()[-1])["wordpiece, trained here"]["mb"][0] > 1
    assert (tmp_path / "plot.png").stat().st_size > 1000
