"""Folders that ours cannot be: each is refused with what is wrong in it."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.huggingface_read import read_parts
from tests.model.test_huggingface_published import change_config, change_weights, publish


def test_a_tensor_of_the_body_that_ours_have_not_is_refused(scramble, tmp_path):
    publish("BertForMaskedLM", tmp_path, scramble)
    change_config(tmp_path, lambda content: content | {"num_hidden_layers": 2})
    with pytest.raises(ValueError, match=r"unknown: bert\.encoder\.layer\.2\..* and 12 more"):
        read_parts(tmp_path)


def test_a_decoder_that_is_not_the_table_is_refused(scramble, tmp_path):
    publish("BertForMaskedLM", tmp_path, scramble, tie_word_embeddings=False)
    with pytest.raises(ValueError, match="is not the table of embeddings once more"):
        read_parts(tmp_path)
    change_weights(
        tmp_path,
        lambda tensors: {k: one for k, one in tensors.items() if "decoder.weight" not in k},
    )
    with pytest.raises(ValueError, match=r"cls\.predictions\.decoder\.weight is missing"):
        read_parts(tmp_path)


def test_a_mapping_where_ours_have_none_is_refused_unless_it_is_the_identity(scramble, tmp_path):
    publish("AlbertModel", tmp_path, scramble, embedding_size=16)
    with pytest.raises(ValueError, match=r"mapping_in\.weight is not the identity; ours have no"):
        read_parts(tmp_path)


def test_another_vocabulary_is_named_with_both_sizes(scramble, tmp_path):
    publish("ElectraForMaskedLM", tmp_path, scramble)
    change_config(tmp_path, lambda content: content | {"vocab_size": 41})
    message = r"word_embeddings\.weight \(40, 8\) instead of \(41, 8\)"
    with pytest.raises(ValueError, match=message):
        read_parts(tmp_path)


def test_true_landmarks_of_transformers_are_refused(scramble, tmp_path):
    publish("NystromformerForMaskedLM", tmp_path, scramble, num_landmarks=4)
    with pytest.raises(ValueError, match="computes that at rows of 64 tokens alone"):
        read_parts(tmp_path)


def test_a_folder_without_weights_says_what_it_needs(scramble, tmp_path):
    publish("ElectraModel", tmp_path, scramble)
    (tmp_path / "model.safetensors").rename(tmp_path / "tf_model.h5")
    message = r"has neither model\.safetensors nor pytorch_model\.bin"
    with pytest.raises(ValueError, match=message):
        read_parts(tmp_path)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=1),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data(), junk=JUNK)
def test_junk_in_a_configuration_is_a_value_error_or_fits(published_micro, data, junk):
    folder, content = published_micro
    name = data.draw(st.sampled_from(sorted(content)))
    (folder / "config.json").write_text(json.dumps(content | {name: junk}))
    with suppress(ValueError):
        read_parts(folder)


@pytest.fixture(params=["AlbertForPreTraining", "GPT2LMHeadModel", "NystromformerForMaskedLM"])
def published_micro(request, scramble, tmp_path):
    """Return a folder and its configuration."""
    publish(request.param, tmp_path, scramble)
    return tmp_path, json.loads((tmp_path / "config.json").read_text())
