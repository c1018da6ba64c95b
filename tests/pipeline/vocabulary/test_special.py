import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

from pipeline.config import ImportConfig
from pipeline.encode import Encoder, load_tokenizer
from pipeline.tokenizer import import_tokenizer
from pipeline.vocabulary.special import (
    STANDARD,
    add_roles,
    pad_vocabulary,
    read_names,
    role_ids,
    typed_specials,
)
from shards.errors import DataError

KINDS = ["wordpiece", "bpe", "unigram"]


@pytest.fixture(scope="module")
def padded(tmp_path_factory, trained) -> dict[str, Path]:
    """The trained tokenizers, padded to a multiple of 64."""
    root = tmp_path_factory.mktemp("padded")
    config = ImportConfig(pad_to_multiple_of=64)
    for kind in KINDS:
        import_tokenizer(trained[kind], None, root / kind, config)
    return {kind: root / kind for kind in KINDS}


def load(folder: Path) -> Tokenizer:
    return load_tokenizer(folder / "tokenizer.json")


TYPED = ("[unused 0]", "[unused0]", "a[unused 0] ", "[unused", "unused 0", "[MASK] [PAD]", " ")
TEXTS = st.text() | st.lists(st.sampled_from(TYPED) | st.text(max_size=5)).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
def test_padding_changes_the_ids_of_no_text(trained, padded, kind: str, text: str):
    plain, larger = load(trained[kind]), load(padded[kind])
    ids = larger.encode(text).ids
    assert ids == plain.encode(text).ids
    assert max(ids, default=0) < 301


@pytest.mark.parametrize("kind", KINDS)
def test_padding_adds_entries_with_ids_of_their_own(padded, kind: str):
    vocabulary = load(padded[kind]).get_vocab()
    assert sorted(vocabulary.values()) == list(range(320))
    unused = [name for name, id_ in vocabulary.items() if id_ >= 301]
    assert sorted(unused) == sorted(f"[unused {number}]" for number in range(19))


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_knows_the_padding_too(padded, kind: str):
    tokenizer = AutoTokenizer.from_pretrained(padded[kind])
    assert len(tokenizer) == 320
    assert tokenizer.convert_ids_to_tokens(310) == "[unused 9]"


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_tokenizer_is_read_in_columns(padded, kind: str):
    assert Encoder(load(padded[kind])).path == "columnar"


def test_a_vocabulary_that_fits_is_not_padded(trained):
    tokenizer = load(trained["bpe"])
    assert pad_vocabulary(tokenizer, 7).to_str() == tokenizer.to_str()  # 301 = 43 * 7


def test_padding_passes_over_names_that_are_taken(trained):
    tokenizer = pad_vocabulary(pad_vocabulary(load(trained["bpe"]), 8), 64)
    assert sorted(tokenizer.get_vocab().values()) == list(range(320))


@pytest.mark.parametrize("kind", KINDS)
def test_roles_that_are_missing_are_appended_behind_added_tokens(trained, kind: str):
    tokenizer = load(trained[kind])
    tokenizer.add_tokens(["<extra>"])
    names = STANDARD | {"mask": "<mask>", "pad": "<pad>"}
    done, appended = add_roles(tokenizer, names)
    assert appended == ["<pad>", "<mask>"]
    assert role_ids(done, names) == {"pad": 302, "unk": 1, "cls": 2, "sep": 3, "mask": 303}
    assert done.token_to_id("<extra>") == 301
    again = Tokenizer.from_str(done.to_str())
    assert again.get_vocab() == done.get_vocab()
    assert again.encode("a <extra> b").ids == done.encode("a <extra> b").ids


def test_a_special_token_that_a_text_can_spell_is_named():
    entries = [("<pad>", 0.0), ("[UNK]", 0.0), ("a", -1.0)]
    tokenizer = Tokenizer(models.Unigram(entries, unk_id=1))
    names = STANDARD | {"pad": "<pad>"}
    tokenizer, _ = add_roles(tokenizer, names)
    assert "<pad>" in typed_specials(tokenizer, names)


@pytest.mark.parametrize("kind", KINDS)
def test_no_special_token_of_a_trained_tokenizer_can_be_spelt(trained, kind: str):
    assert typed_specials(load(trained[kind]), STANDARD) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "has no tokenizer_config.json"),
        ("{", "is not a tokenizer's configuration"),
        ("[]", "is not a tokenizer's configuration"),
        ("{}", "names no pad_token"),
        (json.dumps({f"{role}_token": None for role in STANDARD}), "that are no text"),
    ],
)
def test_a_broken_configuration_is_named(tmp_path: Path, content: str | None, problem: str):
    path = tmp_path / "tokenizer_config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=problem):
        read_names(path)
