import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertTokenizer, GPT2Tokenizer

from pipeline.config import ImportConfig, PackConfig
from pipeline.encode import Encoder, load_tokenizer
from pipeline.pack import pack
from pipeline.tokenizer import import_tokenizer
from pipeline.vocabulary.imports import vocabulary_files
from shards.errors import DataError
from shards.reader import ShardFolder
from shards.verify import verify

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "ab", "!", "中"]
TEXT = "Ab abba, [MASK] BA! 中b baab"


def bert_file(folder: Path, entries=BERT, name: str = "vocab.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes("".join(f"{entry}\n" for entry in entries).encode())
    return path


def parts(folder: Path):
    return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))


def take(path: Path, out: Path, **options):
    """Import, and return the tokenizer and the manifest's counts."""
    manifest = import_tokenizer(path, None, out, ImportConfig(**options)).manifest
    return load_tokenizer(out / "tokenizer.json"), manifest.counts


def test_a_vocab_txt_gives_the_ids_of_bert_tokenizer(tmp_path: Path):
    tokenizer, counts = take(bert_file(tmp_path / "v"), tmp_path / "out")
    theirs = BertTokenizer.from_pretrained(tmp_path / "v", do_lower_case=True)
    assert tokenizer.encode("Ab abba BA! 中b").ids == theirs("Ab abba BA! 中b")["input_ids"]
    assert counts["special_ids"] == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    assert counts["remarks"] == [
        "vocab.txt: wordpiece",
        "no entry has a capital letter: read as uncased",
    ]


@pytest.mark.parametrize(
    ("entries", "lowercase", "expected"),
    [
        (BERT, None, True),
        ([*BERT, "A"], None, False),
        (BERT, False, False),
        ([*BERT, "A"], True, True),
    ],
)
def test_case_is_detected_unless_it_is_said(tmp_path: Path, entries, lowercase, expected: bool):
    tokenizer, counts = take(bert_file(tmp_path, entries), tmp_path / "out", lowercase=lowercase)
    assert (tokenizer.normalizer.normalize_str("Aé") == "ae") == expected
    assert ("read as uncased" in counts["remarks"][1]) == expected
    config = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert config["do_lower_case"] == expected


def test_roles_that_a_vocabulary_lacks_are_appended_and_named(tmp_path: Path):
    entries = [entry for entry in BERT if entry not in ("[CLS]", "[MASK]")]
    tokenizer, counts = take(bert_file(tmp_path, entries), tmp_path / "out", pad_to_multiple_of=8)
    assert counts["special_ids"] == {"pad": 0, "unk": 1, "cls": 10, "sep": 2, "mask": 11}
    assert "appended, as the file has none: [CLS], [MASK]" in counts["remarks"]
    assert (counts["vocab_size"], counts["unused_entries"]) == (16, 4)
    assert tokenizer.encode("ab").ids == [10, tokenizer.token_to_id("ab"), 2]


def test_vocab_json_and_merges_give_the_ids_of_gpt2_tokenizer(tmp_path: Path, bpe_folder: Path):
    tokenizer, counts = take(bpe_folder, tmp_path / "out")
    theirs = GPT2Tokenizer.from_pretrained(bpe_folder)
    text = "Baba conder,  Été\n中 <|endof text|>"
    assert tokenizer.encode(text, add_special_tokens=False).ids == theirs(text)["input_ids"]
    size = len(theirs)
    end = tokenizer.token_to_id("<|endoftext|>")
    ids = {"pad": size, "unk": size + 1, "cls": size + 2, "sep": end, "mask": size + 3}
    assert counts["special_ids"] == ids
    assert "appended, as the file has none: [PAD], [UNK], [CLS], [MASK]" in counts["remarks"]
    assert end not in tokenizer.encode("a<|endoftext|>b", add_special_tokens=False).ids


@pytest.mark.parametrize("name", ["", "vocab.json", "merges.txt"])
def test_each_of_two_files_or_their_folder_may_be_named(bpe_folder: Path, name: str):
    files = (bpe_folder / "vocab.json", bpe_folder / "merges.txt")
    assert vocabulary_files(bpe_folder / name) == files


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_a_tokenizer_json_stays_what_it_is(tmp_path: Path, trained, kind: str):
    changed = Tokenizer.from_file(str(trained[kind] / "tokenizer.json"))
    changed.enable_truncation(4)
    changed.enable_padding()
    (tmp_path / "in").mkdir()
    changed.save(str(tmp_path / "in" / "tokenizer.json"))
    tokenizer, counts = take(tmp_path / "in", tmp_path / "out")
    assert counts["type"] == kind
    assert parts(tmp_path / "out")["model"] == parts(trained[kind])["model"]
    assert (tokenizer.truncation, tokenizer.padding) == (None, None)
    assert list(counts["special_ids"].values()) == [0, 1, 2, 3, 4]
    assert Encoder(tokenizer).path == "columnar"
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    pair = theirs("Baba conder.", "Été")
    expected = tokenizer.encode("Baba conder.", "Été")
    assert (pair["input_ids"], pair["token_type_ids"]) == (expected.ids, expected.type_ids)


def test_a_configuration_beside_a_tokenizer_json_tells_the_roles(tmp_path: Path, trained):
    text = (trained["bpe"] / "tokenizer.json").read_text(encoding="utf-8")
    for standard, own in (("[PAD]", "<x>"), ("[MASK]", "<y>"), ("[CLS]", "<s>")):
        text = text.replace(f'"{standard}"', f'"{own}"')
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    config = {"pad_token": "<x>", "mask_token": {"content": "<y>"}, "sep_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    _, counts = take(tmp_path, tmp_path / "out")
    assert counts["special_ids"] == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    assert counts["special_tokens"]["cls"] == "<s>"  # by custom


def test_one_token_for_several_roles_is_for_none_of_them(tmp_path: Path, bpe_folder: Path):
    config = dict.fromkeys(("pad_token", "unk_token", "sep_token"), "<|endoftext|>")
    (bpe_folder / "tokenizer_config.json").write_text(json.dumps(config))
    _, counts = take(bpe_folder, tmp_path / "out")
    assert "<|endoftext|>" not in counts["special_tokens"].values()
    assert len(set(counts["special_ids"].values())) == 5


def test_shards_take_the_ids_of_the_roles(tmp_path: Path, bpe_folder: Path, write_source, prose):
    _, counts = take(bpe_folder, tmp_path / "tokenizer")
    write_source(tmp_path / "text" / "books", [*prose(40, 1), "A typed [MASK] and <|endoftext|>."])
    config = PackConfig(max_length=(64,), validation_fraction=0.1)
    pack(tmp_path / "text", tmp_path / "tokenizer", tmp_path / "shards", config, workers=1)
    header = ShardFolder(tmp_path / "shards", "train").header
    found = {role: getattr(header, f"{role}_token_id") for role in counts["special_ids"]}
    assert found == counts["special_ids"]
    assert list(verify(tmp_path / "shards")) == []


def test_a_folder_is_not_imported_into_itself(tmp_path: Path):
    path = bert_file(tmp_path)
    with pytest.raises(DataError, match="holds what is to be imported"):
        import_tokenizer(path, None, tmp_path, ImportConfig())
    assert [one.name for one in tmp_path.iterdir()] == ["vocab.txt"]


def test_another_configuration_beside_it_is_another_input(tmp_path: Path, bpe_folder: Path):
    take(bpe_folder, tmp_path / "out")
    (bpe_folder / "tokenizer_config.json").write_text('{"unk_token": "<|endoftext|>"}')
    with pytest.raises(DataError, match=r"was made without tokenizer_config.*which is there now"):
        take(bpe_folder, tmp_path / "out")


def test_an_import_is_reported_on_text_where_there_is_some(tmp_path: Path, text_folder: Path):
    path = bert_file(tmp_path)
    manifest = import_tokenizer(path, text_folder, tmp_path / "out", ImportConfig()).manifest
    assert set(manifest.counts["report"]["sources"]) == {"books", "pages"}
    assert set(manifest.inputs) == {"vocab.txt"}
    assert import_tokenizer(path, None, tmp_path / "out", ImportConfig()).was_finished


def test_a_finished_import_is_reported_on_text_that_is_given_later(tmp_path, text_folder):
    path, out = bert_file(tmp_path), tmp_path / "out"
    expected = import_tokenizer(path, text_folder, tmp_path / "at once", ImportConfig()).manifest
    first = import_tokenizer(path, None, out, ImportConfig()).manifest
    assert first.counts["report"] == {"sources": {}, "sentences": []}
    later = import_tokenizer(path, text_folder, out, ImportConfig())
    assert later.was_finished
    assert later.manifest.counts == expected.counts
    assert later.manifest.fingerprint() == first.fingerprint()
    assert import_tokenizer(path, None, out, ImportConfig()).manifest == later.manifest


def test_nothing_is_written_before_the_report_is_made(tmp_path, text_folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    path = bert_file(tmp_path)
    monkeypatch.setattr("pipeline.tokenizer.report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_tokenizer(path, text_folder, tmp_path / "out", ImportConfig())
    assert not (tmp_path / "out").exists()


def test_dropout_is_left_out_and_said(tmp_path: Path, trained):
    changed = parts(trained["bpe"])
    changed["model"]["dropout"] = 0.9
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed))
    tokenizer, counts = take(tmp_path, tmp_path / "out")
    assert parts(tmp_path / "out")["model"]["dropout"] is None
    expected = load_tokenizer(trained["bpe"] / "tokenizer.json").encode("Baba conder.").ids
    assert tokenizer.encode("Baba conder.").ids == expected
    remark = "dropout 0.9 is left out: a text has the same ids every time"
    assert counts["remarks"][1:] == [remark]


def test_a_folder_named_like_a_model_is_none(tmp_path: Path):
    path = bert_file(tmp_path)
    (tmp_path / "x.model").mkdir()
    (tmp_path / "old-vocab.txt").mkdir()
    assert vocabulary_files(tmp_path) == (path,)
