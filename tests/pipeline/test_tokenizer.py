import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from pipeline.config import SPECIAL_TOKENS, TokenizeConfig
from pipeline.encode import Encoder, load_tokenizer
from pipeline.texts import text_sources
from pipeline.tokenizer import train_tokenizer
from shards.errors import DataError
from shards.manifest import read_manifest

FILES = ("tokenizer.json", "tokenizer_config.json")
KINDS = ["wordpiece", "bpe", "unigram"]


@pytest.fixture(scope="module")
def small_text(tmp_path_factory, write_source, prose) -> Path:
    """A few documents, for tests that train."""
    folder = tmp_path_factory.mktemp("small_text")
    write_source(folder / "books", [*prose(20, 3), "Été. ÀÉÎ, 中文 and Ωμέγα!"])
    return folder


def small(kind: str, **changes) -> TokenizeConfig:
    return TokenizeConfig(**({"type": kind, "vocab_size": 300} | changes))


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_files(tmp_path: Path, text_folder, folders, kind: str):
    train_tokenizer(text_folder, tmp_path, TokenizeConfig(type=kind, vocab_size=600))
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folders[kind] / name).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_special_tokens_take_the_ids_0_to_4(folders, kind: str):
    tokenizer = Tokenizer.from_file(str(folders[kind] / "tokenizer.json"))
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_has_the_size_asked_for_and_every_id(folders, kind: str):
    tokenizer = Tokenizer.from_file(str(folders[kind] / "tokenizer.json"))
    assert sorted(tokenizer.get_vocab().values()) == list(range(600))


@pytest.mark.parametrize("kind", KINDS)
def test_its_words_are_looked_up_in_columns(folders, kind: str):
    assert Encoder(load_tokenizer(folders[kind] / "tokenizer.json")).path == "columnar"


PROGRAM = """
import sys
from pathlib import Path
from pipeline.config import TokenizeConfig
from pipeline.tokenizer import train_tokenizer
for kind in {kinds}:
    config = TokenizeConfig(type=kind, vocab_size=600)
    train_tokenizer(Path(sys.argv[1]), Path(sys.argv[2]) / kind, config)
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_other_processes_and_threads_give_the_same_files(tmp_path, text_folder, folders, threads):
    command = [sys.executable, "-c", PROGRAM.format(kinds=KINDS), str(text_folder), str(tmp_path)]
    environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
    subprocess.run(command, check=True, env=environment)
    for kind in KINDS:
        for name in FILES:
            assert (tmp_path / kind / name).read_bytes() == (folders[kind] / name).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_the_text_is_trained_on(tmp_path: Path, text_folder, kind: str):
    config = TokenizeConfig(type=kind, vocab_size=400, sample=100_000)
    counts = train_tokenizer(text_folder, tmp_path, config).manifest.counts
    sizes = [drawn["text_bytes"] for drawn in counts["sample"].values()]
    assert all(50_000 <= size < 60_000 for size in sizes)


def test_a_sample_too_small_for_the_vocabulary_says_so(tmp_path: Path, text_folder: Path):
    with pytest.raises(DataError, match="yields only") as caught:
        train_tokenizer(text_folder, tmp_path / "out", TokenizeConfig(sample=1000))
    assert caught.value.remedy.startswith("take a larger --sample, or ask for --vocab-size ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_a_special_token_typed_in_a_text_is_text(tmp_path, small_text, kind: str, lowercase: bool):
    train_tokenizer(small_text, tmp_path, small(kind, lowercase=lowercase))
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    for text in ("[MASK]", "a [SEP] b", "[PAD][CLS]", "[MASK", "x[MASK]y"):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert not {0, 2, 3, 4} & set(ids), text


@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_holds_the_tokenizer_and_its_manifest_only(folders, kind: str):
    assert {path.name for path in folders[kind].iterdir()} == {*FILES, "manifest.json"}


def test_the_manifest_tells_what_was_made(tokenizer_folder: Path, text_folder: Path):
    manifest = read_manifest(tokenizer_folder)
    assert manifest is not None
    assert manifest.stage == "tokenize"
    assert manifest.config == {
        "type": "wordpiece",
        "vocab_size": 600,
        "lowercase": True,
        "sample": 10**9,
        "pad_to_multiple_of": 1,
    }
    assert set(manifest.inputs) == {"books", "pages"}
    counts = manifest.counts
    roles = ("pad", "unk", "cls", "sep", "mask")
    assert (counts["type"], counts["vocab_size"], counts["unused_entries"]) == ("wordpiece", 600, 0)
    assert counts["special_ids"] == dict(zip(roles, range(5), strict=True))
    assert counts["special_tokens"] == dict(zip(roles, SPECIAL_TOKENS, strict=True))
    sources = text_sources(text_folder)
    assert counts["sample"] == {
        source.name: {"documents": source.documents, "text_bytes": source.text_bytes}
        for source in sources
    }
    assert set(counts["report"]["sources"]) == {"books", "pages"}
    assert len(counts["report"]["sentences"]) == 5
    assert manifest.damaged(tokenizer_folder) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_run_finds_it_done_and_touches_nothing(folders, text_folder, kind: str):
    before = {name: (folders[kind] / name).stat() for name in FILES}
    config = TokenizeConfig(type=kind, vocab_size=600)
    assert train_tokenizer(text_folder, folders[kind], config).was_finished
    assert {name: (folders[kind] / name).stat().st_mtime_ns for name in FILES} == {
        name: status.st_mtime_ns for name, status in before.items()
    }


def test_another_configuration_in_the_folder_is_refused(tokenizer_folder: Path, text_folder: Path):
    with pytest.raises(DataError, match="was made with vocab_size 600, not 700"):
        train_tokenizer(text_folder, tokenizer_folder, TokenizeConfig(vocab_size=700))


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_too_large_for_the_text_is_refused(tmp_path: Path, small_text, kind: str):
    with pytest.raises(DataError) as caught:
        train_tokenizer(small_text, tmp_path / "out", small(kind, vocab_size=30_000))
    words = caught.value.problem.split()
    possible = int(words[words.index("only") + 1])
    assert 300 < possible < 30_000
    assert caught.value.problem == (
        f"{small_text} yields only {possible} vocabulary entries, not 30000"
    )
    assert caught.value.remedy == f"add text, or ask for --vocab-size {possible} or less"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_size_offered_instead_is_possible(tmp_path: Path, small_text, kind: str):
    with pytest.raises(DataError) as caught:
        train_tokenizer(small_text, tmp_path, small(kind, vocab_size=30_000))
    size = int(caught.value.remedy.split()[-3])
    outcome = train_tokenizer(small_text, tmp_path, small(kind, vocab_size=size))
    assert outcome.manifest.counts["vocab_size"] == size


def test_many_characters_do_not_make_the_vocabulary_larger_than_asked(tmp_path, write_source):
    """500 characters need 1,000 entries: either fewer are kept, or the size is refused."""
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 500)]
    write_source(tmp_path / "text" / "books", [" ".join(characters), "an English text " * 50])
    try:
        outcome = train_tokenizer(tmp_path / "text", tmp_path / "out", small("wordpiece"))
    except DataError as error:
        assert "300" in str(error)  # noqa: PT017
    else:
        assert outcome.manifest.counts["vocab_size"] == 300


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_without_words_is_refused(tmp_path: Path, write_source, kind: str):
    write_source(tmp_path / "text" / "books", ["", "\n"])
    with pytest.raises(DataError, match="yields only"):
        train_tokenizer(tmp_path / "text", tmp_path / "out", small(kind))


def test_case_is_kept_when_asked_for(tmp_path: Path, small_text: Path):
    train_tokenizer(small_text, tmp_path, small("wordpiece", lowercase=False))
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("Été").ids != tokenizer.encode("ete").ids
    assert json.loads((tmp_path / FILES[1]).read_text())["do_lower_case"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_case_and_accents_are_folded_when_asked_for(tmp_path: Path, small_text: Path, kind: str):
    train_tokenizer(small_text, tmp_path, small(kind, lowercase=True))
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("Été").ids == tokenizer.encode("ete").ids


def test_bpe_encodes_every_text_without_loss(tokenizers):
    text = "\x00 Ωμέγα 中文 😀\u2028 a\u0301  two spaces"
    ids = tokenizers["bpe"].encode(text, add_special_tokens=False).ids
    assert tokenizers["bpe"].decode(ids, skip_special_tokens=False) == text


def test_a_missing_text_folder_says_what_to_run(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        train_tokenizer(tmp_path / "text", tmp_path / "out", small("bpe"))
    assert caught.value.problem == f"no text at {tmp_path / 'text'}"
    assert caught.value.remedy.startswith("run `python cli.py fetch SOURCE` first")


def test_a_damaged_text_is_named(tmp_path: Path, small_text: Path):
    shutil.copytree(small_text, tmp_path / "text")
    part = tmp_path / "text" / "books" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-10])
    with pytest.raises(DataError, match="is not what was fetched"):
        train_tokenizer(tmp_path / "text", tmp_path / "out", small("bpe"))


def test_a_folder_with_other_stages_output_is_not_taken_for_text(
    tmp_path: Path, small_text: Path, tokenizer_folder: Path
):
    """As `--text data` instead of `--text data/text`."""
    shutil.copytree(small_text, tmp_path / "text")
    shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    with pytest.raises(DataError):
        train_tokenizer(tmp_path, tmp_path / "out", small("bpe"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_of_a_million_letters_is_cut_in_passing(tmp_path: Path, write_source, prose, kind):
    blob = "".join(chr(97 + number * number % 26) for number in range(10**6))
    write_source(tmp_path / "text" / "books", [*prose(20, 3), blob])
    manifest = train_tokenizer(tmp_path / "text", tmp_path / "out", small(kind)).manifest
    assert manifest.counts["vocab_size"] == 300
    vocabulary = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).get_vocab()
    assert max(map(len, vocabulary)) <= 100 + len("##")
