"""Every layout, packed and decoded back to the documents' own tokens."""

from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.config import PackConfig
from pipeline.documents import read_texts
from pipeline.encode import Encoder, encode_documents, load_tokenizer
from pipeline.masks import ngram_law
from pipeline.pack import pack
from pipeline.texts import text_sources
from shards.errors import DataError
from shards.format import NO_LABEL, Rows, concatenate, mask_budget, unpack_masks
from shards.manifest import read_manifest
from shards.reader import ShardFolder, open_shard
from shards.verify import verify
from tests.pipeline.tiling import can_tile, restore


@pytest.fixture(scope="module")
def make(text_folder: Path, folders: dict[str, Path], tmp_path_factory):
    """Return a function that packs the shared text once for each tokenizer and configuration."""
    made: dict[str, Path] = {}

    def pack_with(kind: str = "bpe", **choices: object) -> Path:
        name = repr((kind, choices))
        if name not in made:
            made[name] = tmp_path_factory.mktemp("layout") / "shards"
            config = PackConfig(validation_fraction=0.1, **choices)
            pack(text_folder, folders[kind], made[name], config, workers=1)
        return made[name]

    return pack_with


def rows_of(folder: Path, max_length: int | None = None) -> Rows:
    splits = [ShardFolder(folder, split, max_length) for split in ("train", "validation")]
    return concatenate([split.gather(np.arange(len(split))) for split in splits])


def texts_of(folder: Path) -> list[str]:
    groups = [group for source in text_sources(folder) for group in source.row_groups()]
    return [text for group in groups for text in read_texts(group)]


def expected_tokens(text_folder: Path, folder: Path) -> list[list[int]]:
    """Return the tokens of each document, paragraph by paragraph."""
    tokenizer = load_tokenizer(folder / "tokenizer" / "tokenizer.json")
    encoded = encode_documents(Encoder(tokenizer), texts_of(text_folder))
    bounds = encoded.sentences[encoded.documents]
    return [encoded.input_ids[first:last].tolist() for first, last in pairwise(bounds)]


@pytest.mark.parametrize(
    ("layout", "kind"), [("pairs", "bpe"), ("segments", "bpe"), ("pairs", "unigram")]
)
def test_rows_are_the_documents_own_tokens(make, text_folder, layout, kind):
    folder = make(kind, layout=layout, max_length=(32, 96))
    assert list(verify(folder)) == []
    expected = expected_tokens(text_folder, folder)
    for length in (32, 96):
        pieces = restore(rows_of(folder, length))
        for number, tokens in enumerate(expected):
            assert can_tile(tokens, pieces.pop(number, [])), (length, number)
        assert pieces == {}


def test_segments_have_no_order_and_are_cut_near_the_middle(make):
    rows = rows_of(make(layout="segments", max_length=(32, 96)), 96)
    assert (rows.sentence_order_label == NO_LABEL).all()
    is_pair = rows.second_start < rows.length
    assert 0.5 < is_pair.mean() < 0.95
    first = rows.second_start[is_pair] / rows.length[is_pair]
    assert abs(np.median(first) - 0.5) < 0.05


def test_a_stream_is_whole_documents_with_their_newlines(make, text_folder):
    folder = make(layout="stream", max_length=(48,))
    assert list(verify(folder)) == []
    tokenizer = load_tokenizer(folder / "tokenizer" / "tokenizer.json")
    shards = ShardFolder(folder, "train")
    end = shards.header.sep_token_id
    texts = {
        tuple(tokenizer.encode(text, add_special_tokens=False).ids)
        for text in texts_of(text_folder)
    }
    assert any("\n" in text for text in texts_of(text_folder))
    total = 0
    manifest = read_manifest(folder)
    for name in manifest.files:
        if name.endswith(".arrow"):
            _, rows = open_shard(folder / name)
            total += int(rows.length.sum())
            # Rows are shuffled: only documents that lie within one row can be told here.
            for row in range(len(rows)):
                ids = rows.input_ids[row, : rows.length[row]].tolist()
                inner = [
                    tuple(group)
                    for is_end, group in groupby(ids, lambda one: one == end)
                    if not is_end
                ][1:-1]
                assert set(inner) <= texts
    counts = manifest.counts["balance"]["all"]
    assert counts["empty_documents"] > 0
    assert total == counts["tokens"] + counts["documents"] - counts["empty_documents"]
    assert counts["48/tokens_kept"] == counts["tokens"]


def test_a_source_may_be_packed_more_than_once_or_in_part(make, text_folder):
    names = [source.name for source in text_sources(text_folder)]
    weights = ((names[0], 2.0), (names[1], 0.5))
    folder = make(weights=weights, max_length=(64,))
    assert list(verify(folder)) == []
    once = read_manifest(make(max_length=(64,))).counts["balance"]
    counts = read_manifest(folder).counts["balance"]
    held_out = once[names[0]]["validation_documents"]
    assert counts[names[0]]["documents"] == 2 * once[names[0]]["documents"] - held_out
    half, total = counts[names[1]]["documents"], once[names[1]]["documents"]
    assert half + counts[names[1]]["thinned_documents"] == total
    assert abs(half - total / 2) < 4 * (total / 4) ** 0.5
    rows, kept = rows_of(folder), restore(rows_of(make(max_length=(64,))))
    found = restore(rows)
    twice = next(number for number in found if len(found[number]) > 4)
    assert len(found[twice]) > len(kept[twice])
    assert len({tuple(piece) for piece in found[twice]}) > len(kept[twice])  # chunks of their own


def test_weights_of_an_unknown_source_are_refused(text_folder, bpe_folder, tmp_path):
    config = PackConfig(weights=(("films", 2.0),))
    with pytest.raises(DataError, match="has no source films"):
        pack(text_folder, bpe_folder, tmp_path / "x", config, workers=1)


@pytest.mark.parametrize(("mask", "longest"), [("ngram", 3), ("spans", 10), ("tokens", 1)])
def test_runs_follow_the_law_of_their_kind(make, mask, longest):
    folder = make(mask=mask, max_length=(96,))
    counts = read_manifest(folder).counts["balance"]["all"]
    drawn = np.array([counts[f"96/ngrams_drawn_{n}"] for n in range(1, longest + 1)])
    expected = ngram_law(mask, longest) * drawn.sum()
    assert f"96/ngrams_drawn_{longest + 1}" not in counts
    assert drawn.sum() > 20_000
    if longest > 1:
        assert stats.chisquare(drawn, expected).pvalue > 0.0027  # 3 sigma
    share = counts["96/masked_tokens"] / (4 * counts["96/real_tokens"])
    assert abs(share - 0.15) < 0.01


def test_single_tokens_are_all_placed_and_fill_each_set(make):
    """Runs of one token always fit: a set has as many as the format allows, and no row fewer."""
    folder = make(mask="tokens", max_length=(96,))
    counts = read_manifest(folder).counts["balance"]["all"]
    rows = rows_of(folder)
    budget = np.minimum(mask_budget(rows.length, 0.15), rows.length - 2)
    masked = np.bitwise_count(rows.masks.reshape(len(rows), 4, -1)).sum(2, dtype=np.int64)
    assert (masked == budget[:, None]).all()
    assert counts["96/ngrams_placed_1"] == counts["96/masked_tokens"] == 4 * budget.sum()
    assert counts["96/ngrams_drawn_1"] >= counts["96/ngrams_placed_1"]  # sets that were drawn again


def test_single_tokens_are_masked_where_words_are_not_asked_for(make):
    folder = make(mask="tokens", max_length=(96,))
    header = ShardFolder(folder, "train").header
    rows = ShardFolder(folder, "train").gather(np.arange(200))
    is_masked = unpack_masks(rows.mask_set(np.zeros(200, np.int64), header), 96)
    runs = [len(list(run)) for row in is_masked for is_set, run in groupby(row) if is_set]
    assert np.mean(np.array(runs) == 1) > 0.7


def test_short_documents_are_left_out_and_counted(make):
    everything = read_manifest(make(max_length=(64,))).counts["balance"]["all"]
    folder = make(max_length=(64,), min_document_tokens=60)
    assert list(verify(folder)) == []
    counts = read_manifest(folder).counts["balance"]["all"]
    assert 0 < counts["short_documents"] < counts["documents"]
    assert counts["tokens"] == everything["tokens"]
    assert counts["64/tokens_kept"] == counts["tokens"] - counts["short_tokens"]


def test_one_of_several_lengths_must_be_chosen(make):
    folder = make(layout="pairs", max_length=(32, 96))
    with pytest.raises(DataError, match="has rows of 32, 96 tokens"):
        ShardFolder(folder, "train")
    assert ShardFolder(folder, "train", 96).header.max_length == 96


@pytest.mark.parametrize("layout", ["pairs", "stream"])
def test_words_may_be_divided_anew_in_each_repetition(make, text_folder, layout):
    name = text_sources(text_folder)[0].name
    choices = {"layout": layout, "max_length": (64,), "weights": ((name, 2.0),)}
    usual, anew = make(**choices), make(**choices, subword_dropout=0.2)
    assert list(verify(anew)) == []
    counts = [read_manifest(one).counts["balance"]["all"] for one in (usual, anew)]
    assert 1.05 < counts[1]["tokens"] / counts[0]["tokens"] < 2
    assert counts[1]["documents"] == counts[0]["documents"]
    assert counts[1]["64/tokens_kept"] == counts[1]["tokens"]


def test_held_out_text_is_never_divided_anew(make):
    """It measures what is learnt: with and without dropout its rows are the same."""
    for layout in ("pairs", "stream"):
        usual, anew = (
            ShardFolder(make(layout=layout, max_length=(64,), subword_dropout=p), "validation")
            for p in (0.0, 0.3)
        )
        assert len(usual) == len(anew) > 0
        rows = [one.gather(np.arange(len(one))) for one in (usual, anew)]
        for name, column in vars(rows[0]).items():
            assert np.array_equal(column, vars(rows[1])[name]), name


def test_documents_left_out_of_a_stream_leave_nothing_in_it(make, text_folder):
    folder = make(layout="stream", max_length=(48,), min_document_tokens=60)
    assert list(verify(folder)) == []
    manifest = read_manifest(folder)
    counts = manifest.counts["balance"]["all"]
    end = manifest.counts["header"]["sep_token_id"]
    rows = rows_of(folder)
    real = np.arange(48) < rows.length[:, None]
    is_end = (rows.input_ids == end) & real
    assert is_end.sum() == counts["documents"] - counts["short_documents"]
    assert not (is_end[:, 1:] & is_end[:, :-1]).any()
    lengths = np.array([len(tokens) for tokens in expected_tokens(text_folder, folder)])
    assert (lengths[np.unique(rows.document)] > 40).all()  # a newline is a token here besides
    assert counts["48/tokens_kept"] == counts["tokens"] - counts["short_tokens"]


def test_a_stream_is_cut_elsewhere_each_time(make, text_folder):
    name = text_sources(text_folder)[0].name
    folder = make(layout="stream", max_length=(48,), weights=((name, 3.0),))
    assert list(verify(folder)) == []
    manifest = read_manifest(folder)
    shards = [rows for _, rows in map(open_shard, sorted(folder.glob("train/48/*.arrow")))]
    texts = [set(map(bytes, rows.input_ids[rows.length == 48])) for rows in shards]
    for number, one in enumerate(texts):
        for other in texts[:number]:
            assert len(one & other) < 0.02 * len(one)
    counts = manifest.counts["balance"]["all"]
    assert counts["48/tokens_kept"] == counts["tokens"]
    assert counts["documents"] > 2 * len(texts_of(text_folder))


def test_rows_of_another_length_have_other_draws(tmp_path, write_source, bpe_folder):
    """Documents of one row at both lengths: neither swap nor masks nor cut repeat."""
    texts = [f"Con der el {n}. Fi gra hu {n}. In lo {n}. Mer no per." for n in range(1500)]
    write_source(tmp_path / "text" / "books", texts)
    config = PackConfig(max_length=(96, 128), short_row_probability=0, validation_fraction=0)
    pack(tmp_path / "text", bpe_folder, tmp_path / "out", config, workers=1)
    split = [ShardFolder(tmp_path / "out", "train", length) for length in config.max_length]
    both = [one.gather(np.arange(len(one))) for one in split]
    both = [rows.take(np.argsort(rows.document)) for rows in both]
    assert len(both[0]) == len(both[1]) == len(texts)
    same = both[0].sentence_order_label == both[1].sentence_order_label
    assert abs(same.mean() - 1 / 2) < 3 * (1 / 4 / len(texts)) ** 0.5
    a, b = (
        np.where(
            rows.sentence_order_label == 1, rows.length - rows.second_start, rows.second_start - 1
        )
        for rows in both
    )
    assert abs((a == b).mean() - 1 / 3) < 3 * (2 / 9 / len(texts)) ** 0.5
    masks = [unpack_masks(rows.masks[:, :8], 64) for rows in both]
    together = (masks[0] & masks[1])[same & (a == b)].sum() / masks[0][same & (a == b)].sum()
    assert together < 0.25
