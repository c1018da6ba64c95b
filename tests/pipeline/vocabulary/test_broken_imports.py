"""What is wrong with a vocabulary is named in one line, and nothing is written."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import ImportConfig
from pipeline.tokenizer import import_tokenizer
from pipeline.vocabulary.imports import read_vocabulary, vocabulary_files
from shards.errors import DataError

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "ab", "!", "中"]


def broken(tmp_path: Path, content: bytes, name: str = "vocab.txt") -> DataError:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        import_tokenizer(path, None, tmp_path / "out", ImportConfig())
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(caught.value)
    return caught.value


WHOLE = "".join(f"{entry}\n" for entry in BERT).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (WHOLE[:-1], "is cut"),
        (b"\xef\xbb\xbf" + WHOLE, "byte order mark"),
        (WHOLE.replace(b"\n", b"\r\n"), "CR LF"),
        (WHOLE + b"a\n", "has 'a' in line 6 and in line 13"),
        (WHOLE + b"\n", "line 13, is ''"),
        (WHOLE + b"a\t-3.5\n", "line 13, is 'a\\\\t-3.5', not one entry"),
        (WHOLE.replace(b"[UNK]", b"<unk>"), r"has no \[UNK\]"),
        (WHOLE + b"\xff\n", "is not UTF-8 at byte"),
        (WHOLE + b"\0\n", "has a NUL"),
    ],
)
def test_a_broken_vocab_txt_is_named(tmp_path: Path, content: bytes, problem: str):
    with pytest.raises(DataError, match=problem):
        raise broken(tmp_path, content)


@pytest.mark.parametrize(
    ("name", "edit", "problem"),
    [
        (
            "merges.txt",
            lambda text: text + "Q zzzz\n",
            "names 'zzzz', which is not in the vocabulary",
        ),
        (
            "merges.txt",
            lambda text: text[: len(text) // 2].rpartition("\n")[0] + "\n",
            "makes none of",
        ),
        ("merges.txt", lambda text: text[:-2], "is cut"),
        ("merges.txt", lambda text: text + text.splitlines()[1] + "\n", "in line 2 and in line"),
        ("merges.txt", lambda text: text + "a b c\n", "is 'a b c', not two entries"),
        ("vocab.json", lambda text: text[:-9], "is not JSON"),
        ("vocab.json", lambda text: "[1]", "is no object of entries and ids"),
        ("vocab.json", lambda text: '{"a": 0}', "is no byte-level vocabulary"),
        ("vocab.json", lambda text: text.replace('": 7,', '": 8,'), "has ids other than 0 to"),
        ("vocab.json", lambda text: text.replace("{", '{"": 900, ', 1), "has ids other than 0 to"),
        ("vocab.json", lambda text: text.replace("<|endoftext|>", ""), "none of 1 entries, such"),
    ],
)
def test_broken_files_of_bpe_are_named(tmp_path, bpe_folder: Path, name, edit, problem: str):
    path = bpe_folder / name
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        import_tokenizer(bpe_folder, None, tmp_path / "out", ImportConfig())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("tokenizer.json", b"{", "is not JSON"),
        ("tokenizer.json", b"{}", "is not a tokenizer.json"),
        ("tokenizer.json", b'{"model": {}}', "is not a tokenizer"),
        ("spiece.model", b"", "is not a whole sentencepiece model"),
        ("spiece.model", b"plain text", "is not a whole sentencepiece model"),
        ("vocab.bin", b"x", "is no .txt, .json or .model"),
        ("merges.txt", b"x", "has no vocab.json"),
        ("gpt2-vocab.json", b'{"a": 0}', "without its merges: name the two files vocab.json and"),
        ("gpt2-merges.txt", b"a b\n", "holds merges, .*: name it merges.txt, and put its vocab.j"),
        ("bpe.txt", b"#version: 0.2\na b\n", "holds merges, not a vocabulary"),
    ],
)
def test_other_broken_files_are_named(tmp_path: Path, name: str, content: bytes, problem: str):
    with pytest.raises(DataError, match=problem):
        raise broken(tmp_path, content, name)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    error = broken(tmp_path, b"x", "spiece.model")
    assert "takes the packages sentencepiece and protobuf" in error.problem
    assert error.remedy == "run `python -m pip install 'hearth[spm]'`"


def test_a_folder_of_several_vocabularies_is_refused(tmp_path: Path, bpe_folder: Path):
    (bpe_folder / "vocab.txt").write_bytes(WHOLE)
    with pytest.raises(DataError, match=r"several vocabularies: vocab\.json, vocab\.txt"):
        vocabulary_files(bpe_folder)


@pytest.mark.parametrize("name", ["none", ""])
def test_where_nothing_is_that_is_said(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=r"no file or folder at|has no tokenizer\.json"):
        vocabulary_files(tmp_path / name)


def test_case_that_contradicts_the_file_is_refused(tmp_path: Path, trained):
    config = ImportConfig(lowercase=True)
    with pytest.raises(DataError, match="says itself whether case is folded: it is not"):
        import_tokenizer(trained["unigram"], None, tmp_path / "out", config)


def test_a_sentencepiece_model_with_unused_pieces_is_refused(tmp_path: Path):
    pb = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    model = pb.ModelProto()
    model.trainer_spec.model_type = 1
    model.normalizer_spec.precompiled_charsmap = b"x"
    for piece, score, kind in (("<unk>", 0.0, 2), ("a", -1.0, 1), ("b", -1.0, 5)):
        model.pieces.add(piece=piece, score=score, type=kind)
    with pytest.raises(DataError, match="has unused pieces, which is not supported"):
        raise broken(tmp_path, model.SerializeToString(), "spiece.model")


NAMES = st.sampled_from(["vocab.txt", "tokenizer.json", "spiece.model", "vocab.json", "merges.txt"])
LINES = st.lists(
    st.sampled_from([*BERT, "Ġ a", "{", '{"model": ', "#version"]) | st.text(max_size=9)
)


@given(name=NAMES, content=st.binary() | LINES.map(lambda lines: "\n".join(lines).encode()))
def test_any_bytes_are_a_tokenizer_or_a_data_error(tmp_path_factory, trained, name, content):
    folder = tmp_path_factory.mktemp("any", numbered=True)
    if name in ("vocab.json", "merges.txt"):
        model = json.loads((trained["bpe"] / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
        (folder / "merges.txt").write_text("\n".join(map(" ".join, model["merges"])) + "\n")
    (folder / name).write_bytes(content)
    try:
        read_vocabulary(vocabulary_files(folder / name), ImportConfig())
    except DataError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    shutil.rmtree(folder)
