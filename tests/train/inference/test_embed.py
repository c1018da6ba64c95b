import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from train.inference import embed as module
from train.inference.embed import batches_by_length, check_out, embed, embed_file

TEXTS = ["Conder el fi.", "in", "Gra hu lo mer no, per sta. " * 2, "el"]
LONG = "el " * 40


def states(saved, text, *, framed=True):
    """Return the last hidden states (T, H) that `transformers` computes."""
    with torch.no_grad():
        return saved.theirs.base_model(saved.ids(text, framed=framed)).last_hidden_state[0]


def close(ours, expected):
    expected = torch.stack(expected).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["masked", "judge"])
def test_vectors_are_those_of_transformers_in_the_order_of_the_texts(request, model):
    saved = request.getfixturevalue(model)
    made = embed(saved.loaded, TEXTS)
    close(made.vectors, [states(saved, text).mean(0) for text in TEXTS])
    close(embed(saved.loaded, TEXTS, "first").vectors, [states(saved, text)[0] for text in TEXTS])
    assert made.tokens.tolist() == [len(states(saved, text)) for text in TEXTS]
    assert not made.is_cut.any()


def test_a_causal_model_has_means_and_no_first_token(causal):
    made = embed(causal.loaded, TEXTS)
    close(made.vectors, [states(causal, text, framed=False).mean(0) for text in TEXTS])
    with pytest.raises(DataError, match="sees nothing after it: use --pooling mean"):
        embed(causal.loaded, TEXTS, "first")


def test_a_long_text_is_refused_or_cut_before_its_last_special_token(masked):
    with pytest.raises(DataError, match=r"42 tokens, the model takes 32: .*--truncate"):
        embed(masked.loaded, [LONG])
    made = embed(masked.loaded, ["in", LONG], cuts=True)
    assert made.is_cut.tolist() == [False, True]
    close(made.vectors[1:], [states(masked, "el " * 30).mean(0)])


def test_a_file_has_every_text_with_its_vector(masked, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 3)
    out, ticks = tmp_path / "out" / "vectors.parquet", []
    made = embed_file(masked.loaded, iter(TEXTS), out, tick=ticks.append)
    assert (made.texts, made.width, made.cut) == (4, 16, 0)
    assert ticks == [3, 1]
    table = pq.read_table(out)
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 16)
    assert table["text"].to_pylist() == TEXTS
    expected = embed(masked.loaded, TEXTS)
    assert table["tokens"].to_pylist() == expected.tokens.tolist()
    vectors = np.array(table["embedding"].to_pylist(), np.float32)
    np.testing.assert_allclose(vectors, expected.vectors, rtol=1e-4, atol=1e-5)
    assert pq.ParquetFile(out).num_row_groups == 2


def test_a_text_that_cannot_be_embedded_is_named_and_leaves_no_file(masked, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 2)
    out = tmp_path / "vectors.parquet"
    with pytest.raises(DataError, match="text 4: the text has 42 tokens"):
        embed_file(masked.loaded, [*TEXTS[:3], LONG], out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pick", ["folder", "same", "hard link", "symbolic link", "device"])
def test_an_output_takes_nothing_elses_place(tmp_path, pick):
    texts = tmp_path / "texts.txt"
    texts.write_text("el\n")
    out = {"folder": tmp_path, "same": texts, "device": Path(os.devnull)}.get(
        pick, tmp_path / "out"
    )
    if pick == "hard link":
        out.hardlink_to(texts)
    if pick == "symbolic link":
        out.symlink_to(texts)
    with pytest.raises(DataError, match=r"no regular file|is the file to read"):
        check_out(out, texts)


def test_an_earlier_output_is_replaced(tmp_path):
    for name in ("texts.txt", "out.parquet"):
        (tmp_path / name).write_text("el\n")
    check_out(tmp_path / "out.parquet", tmp_path / "texts.txt")
    check_out(tmp_path / "out.parquet", Path("-"))
    check_out(tmp_path / "new.parquet", tmp_path / "texts.txt")


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=60))
def test_batches_hold_every_row_once_and_few_places(lengths):
    lengths = np.array(lengths, np.int32)
    batches = list(batches_by_length(lengths))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= module.BATCH_PLACES


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
@settings(max_examples=30)
def test_a_text_has_the_same_vector_in_any_company(masked, texts):
    texts = ["el " + text for text in texts]
    together = embed(masked.loaded, texts).vectors
    alone = np.concatenate([embed(masked.loaded, [text]).vectors for text in texts])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
