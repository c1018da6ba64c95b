"""A tokenizer_config.json beside a vocabulary is obeyed as `transformers` obeys it."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pipeline.config import ImportConfig
from pipeline.encode import Encoder, load_tokenizer
from pipeline.tokenizer import import_tokenizer
from shards.errors import DataError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ENTRIES = [*"schonö中", *(f"##{one}" for one in "schonö中"), "schön", "schon", "<s>", "</s>"]
TEXTS = ["Schön schon SCHO\u0308N", "schön中schon 中", "", "so  no"]


def folder_of(root: Path, settings: object, entries: list[str]) -> Path:
    root.mkdir()
    (root / "vocab.txt").write_text("".join(f"{one}\n" for one in entries), encoding="utf-8")
    (root / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return root


def take(path: Path, out: Path, **options):
    """Import, and return the tokenizer and the manifest's counts."""
    manifest = import_tokenizer(path, None, out, ImportConfig(**options)).manifest
    return load_tokenizer(out / "tokenizer.json"), manifest.counts


def check_ids(folder: Path, out: Path, texts: list[str]) -> None:
    """Compare the ids with those of the original, and with those of what was written."""
    ours = [one.ids for one in load_tokenizer(out / "tokenizer.json").encode_batch(texts)]
    plain = [one[1:-1] for one in ours]
    theirs = AutoTokenizer.from_pretrained(folder)
    assert plain == theirs(texts, add_special_tokens=False)["input_ids"]
    assert ours == AutoTokenizer.from_pretrained(out)(texts)["input_ids"]
    units = Encoder(load_tokenizer(out / "tokenizer.json")).encode(texts, [()] * len(texts))
    assert units.input_ids.tolist() == [id_ for ids in plain for id_ in ids]


@pytest.mark.parametrize(
    ("settings", "remarks"),
    [
        ({"do_lower_case": True}, ["tokenizer_config.json says so: read as uncased"]),
        ({"do_lower_case": False}, ["tokenizer_config.json says so: read as cased"]),
        ({"strip_accents": None}, ["no entry has a capital letter: read as uncased"]),
        (
            {"do_lower_case": True, "strip_accents": False},
            [
                "tokenizer_config.json says so: read as uncased",
                "accents are kept (strip_accents)",
            ],
        ),
        (
            {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
            [
                "tokenizer_config.json says so: read as cased",
                "accents are stripped (strip_accents)",
                "Chinese characters are no words of their own (tokenize_chinese_chars)",
            ],
        ),
    ],
)
def test_case_accents_and_chinese_characters_are_treated_as_is_said(tmp_path, settings, remarks):
    settings = {"tokenizer_class": "BertTokenizer"} | settings
    folder = folder_of(tmp_path / "in", settings, [*SPECIAL, *ENTRIES])
    _, counts = take(folder, tmp_path / "out")
    assert counts["remarks"] == ["vocab.txt: wordpiece", *remarks]
    check_ids(folder, tmp_path / "out", TEXTS)


def test_accents_that_are_kept_are_told_apart(tmp_path: Path):
    folder = folder_of(tmp_path / "in", {"strip_accents": False}, [*SPECIAL, *ENTRIES])
    tokenizer, _ = take(folder, tmp_path / "out")
    assert tokenizer.encode("Schön", add_special_tokens=False).tokens == ["schön"]


def test_special_tokens_of_a_vocab_txt_are_those_that_are_named(tmp_path: Path):
    names = {
        "pad_token": "<p>",
        "unk_token": "<u>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "mask_token": {"__type": "AddedToken", "content": "<m>"},
        "tokenizer_class": "BertTokenizer",
    }
    folder = folder_of(tmp_path / "in", names, [*ENTRIES, "<u>", "<m>", "<p>"])
    tokenizer, counts = take(folder, tmp_path / "out")
    tokens = {"pad": "<p>", "unk": "<u>", "cls": "<s>", "sep": "</s>", "mask": "<m>"}
    assert counts["special_tokens"] == tokens
    theirs = AutoTokenizer.from_pretrained(folder)
    for role, id_ in counts["special_ids"].items():
        assert id_ == getattr(theirs, f"{role}_token_id")
    pair = tokenizer.encode("schon !", "so")
    assert pair.tokens == ["<s>", "schon", "<u>", "</s>", "s", "##o", "</s>"]
    found = theirs("schon !", "so")
    assert (pair.ids, pair.type_ids) == (found["input_ids"], found["token_type_ids"])


def test_an_unknown_token_that_is_named_must_be_there(tmp_path: Path):
    folder = folder_of(tmp_path / "in", {"unk_token": "<u>"}, [*SPECIAL, *ENTRIES])
    with pytest.raises(DataError, match=r"has no <u> among its 23 entries"):
        take(folder, tmp_path / "out")


@pytest.mark.parametrize("said", [True, False])
def test_case_that_contradicts_the_settings_is_refused(tmp_path: Path, said: bool):
    folder = folder_of(tmp_path / "in", {"do_lower_case": said}, [*SPECIAL, *ENTRIES])
    with pytest.raises(DataError, match=r"tokenizer_config\.json says itself whether case is"):
        take(folder, tmp_path / "out", lowercase=not said)
    take(folder, tmp_path / "out", lowercase=said)


@pytest.mark.parametrize("said", [True, False])
def test_a_prefix_space_of_bpe_is_put_where_it_is_said(tmp_path, bpe_folder: Path, said: bool):
    settings = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": said}
    (bpe_folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer, counts = take(bpe_folder, tmp_path / "out")
    check_ids(bpe_folder, tmp_path / "out", ["Baba conder.", "  el", " ba\nel", ""])
    assert any("add_prefix_space" in remark for remark in counts["remarks"]) == said
    assert Encoder(tokenizer).path.startswith("library" if said else "columnar")


@pytest.mark.parametrize("name", ["<s:1>", "CLS:", "$C", "$A", "$1", "begin of text", ":", "schon"])
@pytest.mark.parametrize("role", ["cls", "sep"])
def test_any_name_can_be_that_of_a_special_token(tmp_path: Path, name: str, role: str):
    folder = folder_of(tmp_path / "in", {f"{role}_token": name}, [*SPECIAL, *ENTRIES])
    tokenizer, counts = take(folder, tmp_path / "out")
    assert counts["special_tokens"][role] == name
    cls, sep = counts["special_ids"]["cls"], counts["special_ids"]["sep"]
    so, no = ([tokenizer.token_to_id(one[0]), tokenizer.token_to_id("##o")] for one in ("so", "no"))
    pair = tokenizer.encode("so", "no")
    assert pair.ids == [cls, *so, sep, *no, sep]
    assert pair.type_ids == [0, 0, 0, 0, 1, 1, 1]
    loaded = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert loaded("so", "no")["input_ids"] == pair.ids


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ({"pad_token": "</s>"}, {"pad": "</s>", "cls": "<s>", "sep": "[SEP]"}),
        ({"cls_token": "</s>"}, {"pad": "[PAD]", "cls": "</s>", "sep": "[SEP]"}),
        ({"cls_token": "[SEP]"}, {"cls": "[SEP]", "sep": "</s>"}),
        ({"cls_token": "[SEP]", "mask_token": "</s>"}, {"cls": "[SEP]", "sep": "<sep>"}),
        ({"pad_token": "[UNK]"}, {"pad": "[PAD]", "unk": "[UNK]"}),
    ],
)
def test_a_customary_name_that_has_another_role_is_passed_over(tmp_path, settings, tokens):
    folder = folder_of(tmp_path / "in", settings, ["[UNK]", *ENTRIES])
    _, counts = take(folder, tmp_path / "out")
    assert tokens.items() <= counts["special_tokens"].items()
    assert len(set(counts["special_ids"].values())) == 5


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ([1], "is no object of settings"),
        ({"do_lower_case": "yes"}, "has do_lower_case 'yes', neither true nor false"),
        ({"cls_token": 5}, "has cls_token 5, which is no text"),
        ({"cls_token": {"content": [1]}}, "which is no text"),
        ({"cls_token": "\ud800"}, "is not JSON"),
        ({"cls_token": "[PAD]", "sep_token": "<pad>"}, r"gives \[PAD\] and <pad> to other roles"),
    ],
)
def test_broken_settings_are_named(tmp_path: Path, settings, problem: str):
    folder = folder_of(tmp_path / "in", settings, [*SPECIAL, *ENTRIES])
    with pytest.raises(DataError, match=problem):
        take(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
