"""Small tokenizers of the three types, made by `tokenize`."""

import json
from pathlib import Path

import pytest

from pipeline.config import TokenizeConfig
from pipeline.tokenizer import train_tokenizer

KINDS = ("wordpiece", "bpe", "unigram")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, write_source, prose) -> dict[str, Path]:
    """A folder for each type: cased, 301 entries."""
    root = tmp_path_factory.mktemp("trained")
    write_source(root / "text" / "books", [*prose(20, 3), "Été [unused 0]. ÀÉÎ, 中文 and Ωμέγα!"])
    for kind in KINDS:
        config = TokenizeConfig(type=kind, vocab_size=301, lowercase=False)
        train_tokenizer(root / "text", root / kind, config)
    return {kind: root / kind for kind in KINDS}


@pytest.fixture
def bpe_folder(tmp_path: Path, trained) -> Path:
    """A vocab.json and merges.txt in GPT-2's form, without the five special tokens."""
    model = json.loads((trained["bpe"] / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    entries = [entry for entry in model["vocab"] if not entry.startswith("[") or len(entry) < 2]
    folder = tmp_path / "gpt"
    folder.mkdir()
    vocabulary = {entry: id_ for id_, entry in enumerate([*entries, "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    lines = ["#version: 0.2", *map(" ".join, model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
